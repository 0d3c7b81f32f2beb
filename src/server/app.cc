// Opening everything in order, and the edge at which whatever fails becomes a response.
#include "server/app.h"

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "capacity/capacity.h"
#include "memory/process.h"
#include "server/connection.h"
#include "server/errors.h"
#include "server/intake.h"
#include "server/page_values.h"

namespace dermlens::server {
namespace {

// Threads' stacks in use, allocator slack, the page cache of our own code, the first connections:
// what the process grows by while it serves and that no other category counts.
constexpr Bytes kBaseAllowance = capacity::kServerAllowance + kConnectionsInBase * kConnectionBytes;
constexpr std::uint64_t kPeakAgeMs = 100;
constexpr std::chrono::seconds kRefusingFor{5};

Models::Options models_options(const Options& options, const Configuration& configuration) {
  Models::Options models;
  models.default_path = options.model;
  models.directory = options.model_dir;
  models.how = {.placement = configuration.placement,
                .sessions = configuration.sessions,
                .request_room = configuration.request_room};
  models.wish = options.placement;
  models.load.threads = options.threads;
  models.load.cache_dir = options.cache_dir;
  models.load.max_pixels = options.max_pixels;
  models.load.explain = options.explain;
  return models;
}

// Uploads that wait may not take what the running ones need to be finished.
Bytes uploads_share(const Options& options, Bytes limit) {
  return std::max({limit / 8, Bytes{1} << 20, most_body(options, Payload::upload)});
}

// An eighth of the limit, and nothing of what the plan needs: a peak that is predicted without kept
// results and what they take are together within the limit.
Bytes results_share(Bytes limit, Bytes predicted) {
  return std::min(limit / 8, limit - std::min(limit, predicted));
}

// What is open before any model is.
struct Front {
  std::unique_ptr<Access> access;
  std::unique_ptr<Assets> assets;
  std::unique_ptr<Pages> pages;
  Bytes base = 0;
};

Result<Front> open_front(const Options& options) {
  Front front;
  TRY(front.access, Access::open(options.api_token_file, options.cors_origin, options.host));
  front.assets = std::make_unique<Assets>(options.web_dir);
  TRY(front.pages, Pages::open(*front.assets));
  front.base = read_process_memory().rss + kBaseAllowance;
  return front;
}

}  // namespace

Result<Bytes> measure_base(const Options& options) {
  TRY(const Front front, open_front(options));
  return front.base;
}

App::App(const Options& given, const MemoryLimit& found, const Configuration& chosen)
    : options(given),
      pressure(chosen, found),
      ledger(found.bytes),
      uploads(uploads_share(given, found.bytes)),
      results(ledger, given.result_ttl, results_share(found.bytes, chosen.peak)),
      chores(1, 64),
      controls(1, 16),
      watch(1, 1),
      workers(static_cast<std::size_t>(chosen.sessions), given.queue) {}

// The threads first: a request that still runs uses everything else.
App::~App() {
  workers.stop();
  watch.stop();
  controls.stop();
  chores.stop();
}

Result<std::shared_ptr<App>> App::open(const Options& options) {
  const MemoryLimit limit = find_memory_limit(options.memory_limit);
  if (!options.model.empty()) TRY_VOID(stamp_of(options.model));
  TRY(Front front, open_front(options));
  TRY(const Configuration configuration, configure(options, limit, front.base));
  auto app = std::make_shared<App>(options, limit, configuration);
  app->access = std::move(front.access);
  app->assets = std::move(front.assets);
  app->pages = std::move(front.pages);
  Models::Options how = models_options(options, configuration);
  how.make_room = [app = app.get()](Bytes bytes) { return app->results.make_room(bytes); };
  TRY(app->models, Models::open(std::move(how), app->ledger,
                                [app = app.get(), code = configuration.code](
                                    const diagnose::Model& model, double seconds) {
                                  app->metrics.loaded(seconds);
                                  app->count_libraries(model, code);
                                }));
  if (!options.history.empty()) {
    TRY(app->history, history::Store::open(options.history));
  }
  app->routes = all_routes();
  app->bare_ = front.base;
  auto base = app->ledger.reserve(Category::base, front.base);
  if (!base) return within("the server alone does not fit", std::move(base).error());
  app->base = std::move(*base);
  return app;
}

void App::set_limit(Bytes bytes, Bytes predicted) {
  ledger.set_limit(bytes);
  results.set_most(results_share(bytes, predicted));
  uploads.set_limit(uploads_share(options, bytes));
  // Read once: it falls while others release.
  const Bytes reserved = ledger.reserved();
  if (reserved > bytes) results.make_room(reserved - bytes);
}

void App::count_libraries(const diagnose::Model& model, Bytes engine) {
  const std::lock_guard lock(base_mutex_);
  if (engine == 0) return;
  const Bytes planned = bare_ + engine, now = base.bytes() + model.plan().code;
  if (now < planned) {
    // They are pages of files: where there is no room to count them, the kernel can take them back.
    if (!libraries_counted_)
      libraries_counted_ = base.resize(base.bytes() + planned - now).has_value();
    return;
  }
  // Code that is read higher than at start is read wrongly: the base's allowance holds the error,
  // so that a request has what the plan says.
  const Bytes error = capacity::counting_error(), least = bare_ - std::min(bare_, error);
  const Bytes excess = std::min({now - planned, error, base.bytes() - least});
  [[maybe_unused]] const auto smaller = base.resize(base.bytes() - excess);
}

Result<void> App::make_room(Reservation& hold, Bytes bytes) {
  const auto take = [&]() -> Result<void> {
    if (hold.bytes() != 0) return hold.resize(hold.bytes() + bytes);
    TRY(hold, ledger.reserve(Category::encode, bytes));
    return {};
  };
  auto taken = take();
  if (!taken && results.make_room(bytes)) taken = take();
  return taken;
}

Result<HttpResponse> App::respond(HttpRequest& request) {
  TRY(HttpResponse response, request.route->handler(*this, request));
  const Bytes size = response.body.size(), held = response.hold.bytes();
  if (size > std::max(kSmallAnswer, held)) TRY_VOID(make_room(response.hold, size - held));
  return response;
}

HttpResponse App::handle(HttpRequest& request) {
  try {
    auto response = respond(request);
    if (response) return std::move(*response);
    return error_response(response.error());
  } catch (const std::bad_alloc&) {
    return error_response(Error{Errc::no_memory, "out of memory", 0, ledger.available()});
  } catch (const std::exception& error) {
    log(LogLevel::error, std::string("a handler failed: ") + error.what());
    return error_response(Error{Errc::internal, "an unexpected failure", 0, 0});
  }
}

Bytes App::peak_rss() const {
  const auto now = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started).count());
  if (peak_ == 0 || now - peak_read_ms_ >= kPeakAgeMs) {
    peak_ = read_process_memory().peak_rss;
    peak_read_ms_ = now;
  }
  return peak_;
}

bool App::refused_lately() const {
  const std::uint64_t count = refused();
  const auto now = Clock::now().time_since_epoch().count();
  if (refused_seen_.exchange(count) != count) refused_at_ = now;
  return refused_at_ != 0 && Clock::duration(now - refused_at_) < kRefusingFor;
}

HttpResponse App::dressed(const HttpRequest& request, HttpResponse response) const {
  const bool page = request.route != nullptr ? request.route->page : request.method == Method::get;
  if (response.error_code.empty() || !page || !request.prefers_html()) return response;
  if (response.status == 401 && request.method == Method::get) {
    HttpResponse login;
    login.status = 303;
    login.content_type.clear();
    login.headers.emplace_back("Location", "/login?next=" + percent_encoded(request.path, "-._~/"));
    return login;
  }
  Values values = page_values(*this, request);
  values.set("status", std::to_string(response.status));
  values.set("code", response.error_code);
  values.set("message", response.error_message);
  for (const auto& [name, value] : response.headers)
    if (name == "Retry-After") values.set("retry_after", value);
  const auto page_of_errors = pages->find("error");
  if (!page_of_errors) return response;
  response.body = (*page_of_errors)->render(values);
  response.content_type = "text/html; charset=utf-8";
  return response;
}

}  // namespace dermlens::server
