// A list in order of age and an index; the reservation lives with the result, so that a reader who
// still holds one keeps its bytes accounted for.
#include "server/results.h"

#include <algorithm>
#include <utility>

namespace dermlens::server {
namespace {

// List node, index entry, strings' headers and allocator overhead.
constexpr Bytes kBookkeeping = 1024;

struct Held {
  Reservation hold;
  StoredResult result;
};

}  // namespace

bool is_result_id(std::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<void> Results::put(StoredResult result, std::string_view overlay_png,
                          std::string_view photo_jpeg) {
  const Bytes bytes = kBookkeeping + result.json.size() + overlay_png.size() + photo_jpeg.size();
  const std::lock_guard lock(mutex_);
  if (bytes > most_bytes_)
    return fail(Errc::no_memory, "the result is too large to keep (", bytes, ", ", most_bytes_,
                ")");
  while (!order_.empty() && bytes_ + bytes > most_bytes_) drop_oldest();
  auto hold = ledger_.reserve(Category::results, bytes);
  while (!hold && !order_.empty()) {
    drop_oldest();
    hold = ledger_.reserve(Category::results, bytes);
  }
  if (!hold) return tl::make_unexpected(std::move(hold).error());
  result.overlay_png = overlay_png;
  result.photo_jpeg = photo_jpeg;
  auto held = std::make_shared<const Held>(Held{std::move(*hold), std::move(result)});
  std::shared_ptr<const StoredResult> shared(held, &held->result);
  order_.push_back({shared, std::chrono::steady_clock::now() + time_to_live_, bytes});
  by_id_[shared->id] = std::prev(order_.end());
  bytes_ += bytes;
  return {};
}

std::shared_ptr<const StoredResult> Results::find(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(std::string(id));
  if (found == by_id_.end() || found->second->expires <= std::chrono::steady_clock::now())
    return nullptr;
  return found->second->result;
}

bool Results::erase(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(std::string(id));
  if (found == by_id_.end()) return false;
  drop(found->second);
  return true;
}

void Results::erase_before(std::int64_t seconds) {
  const std::chrono::system_clock::time_point end{std::chrono::seconds(seconds)};
  const std::lock_guard lock(mutex_);
  for (auto entry = order_.begin(); entry != order_.end();)
    entry = entry->result->created < end ? drop(entry) : std::next(entry);
}

bool Results::make_room(Bytes bytes) {
  const std::lock_guard lock(mutex_);
  if (order_.empty()) return false;
  const Bytes before = bytes_;
  while (!order_.empty() && before - bytes_ < bytes) drop_oldest();
  return true;
}

void Results::set_most(Bytes bytes) {
  const std::lock_guard lock(mutex_);
  most_bytes_ = bytes;
  while (bytes_ > most_bytes_) drop_oldest();
}

Bytes Results::most() const {
  const std::lock_guard lock(mutex_);
  return most_bytes_;
}

void Results::expire() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  while (!order_.empty() && order_.front().expires <= now) drop_oldest();
}

std::size_t Results::count() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

Results::Order::iterator Results::drop(Order::iterator entry) {
  bytes_ -= entry->bytes;
  by_id_.erase(entry->result->id);
  return order_.erase(entry);
}

}  // namespace dermlens::server
