// The table of routes: method and pattern to handler, and what the connection must know before it
// reads a body: where the handler runs, who may ask, how large a body may be.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/message.h"

namespace dermlens::server {

struct App;

// Handlers never suspend; they run in one of these rooms.
enum class Room {
  instant,    // on the I/O thread: nothing that waits for a disk, a lock or an arithmetic unit
  inference,  // on a worker, through the bounded queue, with the request's deadline
  chore,      // on the housekeeping thread: what may wait for a disk
  control,    // on a thread of its own: what may load, drain or unload a model
  events,     // a stream of server-sent events that the connection keeps up
};

enum class Guard {
  open,     // always
  guarded,  // a token or a login, where a token file is given
};

enum class Payload {
  none,    // a body is refused with 413
  small,   // up to 64 KiB; may be absent
  upload,  // up to --max-upload (with room for multipart or base64); must be there
};

using Handler = Result<HttpResponse> (*)(App& app, HttpRequest& request);

struct Route {
  Method method;
  std::string_view pattern;  // "/api/v1/results/{}/overlay.png"; {} takes one segment
  Room room;
  Guard guard;
  Payload payload;
  Handler handler;    // null for Room::events
  bool page = false;  // a browser gets errors as a page
};

struct Match {
  const Route* route = nullptr;  // null: no such path, or not this method
  std::vector<std::string> captures;
  std::string allow;  // the methods the path has ("GET, HEAD"); empty: no such path
};

// Finds the route of a path; HEAD is answered by GET's. A capture is never empty and holds no '/'.
Match find_route(std::span<const Route> routes, Method method, std::string_view path);

}  // namespace dermlens::server
