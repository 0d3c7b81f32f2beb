// What Models knows of one model; private to models.cc and models_fit.cc.
#pragma once

#include <memory>
#include <string>

#include "server/models.h"

namespace dermlens::server {

struct ModelEntry {
  std::string name, version, path;
  FileStamp stamp;                         // of what is loaded
  std::shared_ptr<diagnose::Model> model;  // null while unloaded
  ModelState state = ModelState::unloaded;
  bool withdrawn = false;
  std::uint64_t failures = 0;  // so that those who waited for a load share its failure
  Error last_error;
  bool failed = false;
  std::size_t busy = 0;
  Clock::time_point last_used;
};

inline bool short_of_memory(const Error& error) {
  return error.code == Errc::no_memory || error.code == Errc::over_limit;
}

}  // namespace dermlens::server
