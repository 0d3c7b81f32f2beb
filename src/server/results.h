// Results for a while: in memory, inside the ledger, gone after the time to live or when newer ones
// need the room. Nothing is written anywhere.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "memory/ledger.h"

namespace dermlens::server {

// One result as it is handed out; immutable, so readers share it without a lock.
struct StoredResult {
  std::string id;
  std::chrono::system_clock::time_point created;
  std::string json;         // the native answer without the overlay's bytes
  std::string overlay_png;  // may be empty
  std::string photo_jpeg;   // may be empty
};

// Whether `text` is the form of a result's id: 32 lower-case hex digits.
bool is_result_id(std::string_view text);

// Any thread.
class Results {
 public:
  Results(Ledger& ledger, std::chrono::seconds time_to_live, Bytes most_bytes)
      : ledger_(ledger), time_to_live_(time_to_live), most_bytes_(most_bytes) {}

  // Keeps a result with copies of its pictures, dropping the oldest where it needs their room.
  // Fails with no_memory where it does not fit even so: the result is then only in the answer.
  Result<void> put(StoredResult result, std::string_view overlay_png, std::string_view photo_jpeg);
  // Null where there is none (any more).
  std::shared_ptr<const StoredResult> find(std::string_view id);
  bool erase(std::string_view id);
  // Drops what was made before that second (since 1970).
  void erase_before(std::int64_t seconds);
  // Drops the oldest until `bytes` are free again or none are left; false where there was none.
  bool make_room(Bytes bytes);
  // Keeps no more than `bytes` from now on.
  void set_most(Bytes bytes);
  Bytes most() const;
  // Drops what is older than the time to live.
  void expire();
  std::size_t count() const;

 private:
  struct Entry {
    std::shared_ptr<const StoredResult> result;
    std::chrono::steady_clock::time_point expires;
    Bytes bytes = 0;
  };
  using Order = std::list<Entry>;
  Order::iterator drop(Order::iterator entry);
  void drop_oldest() { drop(order_.begin()); }

  Ledger& ledger_;
  const std::chrono::seconds time_to_live_;
  mutable std::mutex mutex_;
  Bytes most_bytes_;
  Order order_;  // oldest first
  std::unordered_map<std::string, Order::iterator> by_id_;
  Bytes bytes_ = 0;
};

}  // namespace dermlens::server
