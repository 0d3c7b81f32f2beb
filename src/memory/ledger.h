// The one byte ledger: every large allocation is asked for here before it is made, and given back
// by scope. The sum of all reservations never exceeds the limit in force; a reservation that does
// not fit fails, and nothing else happens.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <string_view>

#include "base/result.h"

namespace dermlens {

enum class Category { base, code, weights, arena, scratch, bodies, decode, encode, results };
inline constexpr std::size_t kCategories = 9;
std::string_view to_string(Category category);

class Ledger;

// Bytes that are ours until the end of the scope. Movable; a moved-from one holds nothing.
class [[nodiscard]] Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  Bytes bytes() const { return bytes_; }
  // Asks for more, or gives back some; on failure nothing changes.
  Result<void> resize(Bytes bytes);
  void release();

 private:
  friend class Ledger;
  Reservation(Ledger* ledger, Category category, Bytes bytes)
      : ledger_(ledger), category_(category), bytes_(bytes) {}

  Ledger* ledger_ = nullptr;
  Category category_ = Category::base;
  Bytes bytes_ = 0;
};

// Any thread may call anything. Outlives its reservations.
class Ledger {
 public:
  explicit Ledger(Bytes limit) : first_limit_(limit), limit_(limit) {}
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Fails with over_limit where `bytes` alone exceed the limit, with no_memory where they do not
  // fit beside what is reserved now, or only under the limit that there was at first. Both carry
  // needed and available bytes.
  Result<Reservation> reserve(Category category, Bytes bytes);

  Bytes limit() const { return limit_; }
  // What the limit is, or was at first where it has been lowered: more never fits.
  Bytes most() const { return std::max(first_limit_, limit_.load()); }
  // Lowering it below what is reserved keeps what is reserved and refuses what comes.
  void set_limit(Bytes limit) { limit_ = limit; }
  Bytes reserved() const { return total_; }
  Bytes reserved(Category category) const {
    return by_category_[static_cast<std::size_t>(category)];
  }
  Bytes available() const;
  Bytes peak() const { return peak_; }
  std::uint64_t refused() const { return refused_; }

  // Fault injection for tests: the n-th reservation from now (0 = the next) fails with no_memory.
  // Negative: never.
  void fail_at(std::int64_t n) { fail_countdown_ = n; }

 private:
  friend class Reservation;
  Result<void> take(Category category, Bytes bytes);
  void give_back(Category category, Bytes bytes);

  const Bytes first_limit_;
  std::mutex mutex_;
  std::atomic<Bytes> limit_;
  std::atomic<Bytes> total_ = 0;
  std::atomic<Bytes> peak_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::int64_t> fail_countdown_ = -1;
  std::array<std::atomic<Bytes>, kCategories> by_category_{};
};

}  // namespace dermlens
