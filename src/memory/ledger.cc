// Reservations under one mutex; readings are atomics and never wait.
#include "memory/ledger.h"

#include <algorithm>
#include <utility>

namespace dermlens {

std::string_view to_string(Category category) {
  switch (category) {
    case Category::base:
      return "base";
    case Category::code:
      return "code";
    case Category::weights:
      return "weights";
    case Category::arena:
      return "arena";
    case Category::scratch:
      return "scratch";
    case Category::bodies:
      return "bodies";
    case Category::decode:
      return "decode";
    case Category::encode:
      return "encode";
    case Category::results:
      return "results";
  }
  return "base";
}

Reservation::Reservation(Reservation&& other) noexcept
    : ledger_(std::exchange(other.ledger_, nullptr)),
      category_(other.category_),
      bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    release();
    ledger_ = std::exchange(other.ledger_, nullptr);
    category_ = other.category_;
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

Reservation::~Reservation() { release(); }

void Reservation::release() {
  if (ledger_ != nullptr) ledger_->give_back(category_, bytes_);
  ledger_ = nullptr;
  bytes_ = 0;
}

Result<void> Reservation::resize(Bytes bytes) {
  CHECK(ledger_ != nullptr);
  if (bytes > bytes_) {
    TRY_VOID(ledger_->take(category_, bytes - bytes_));
  } else {
    ledger_->give_back(category_, bytes_ - bytes);
  }
  bytes_ = bytes;
  return {};
}

Result<Reservation> Ledger::reserve(Category category, Bytes bytes) {
  TRY_VOID(take(category, bytes));
  return Reservation(this, category, bytes);
}

Bytes Ledger::available() const {
  const Bytes total = total_;
  const Bytes limit = limit_;
  return limit > total ? limit - total : 0;
}

Result<void> Ledger::take(Category category, Bytes bytes) {
  const std::lock_guard lock(mutex_);
  const bool injected = fail_countdown_ >= 0 && fail_countdown_-- == 0;
  const Bytes free = available();
  if (bytes > free || injected) {
    ++refused_;
    // Neighbours lower the limit, and leave: what fitted at first is refused for now.
    const bool never = bytes > most();
    auto error = fail(never ? Errc::over_limit : Errc::no_memory, "out of the memory limit (",
                      to_string(category), " needs ", bytes, " B, ", free, " B of ", limit_.load(),
                      " B are free)");
    error.value().needed = bytes;
    error.value().available = free;
    return error;
  }
  total_ += bytes;
  by_category_[static_cast<std::size_t>(category)] += bytes;
  peak_ = std::max(peak_.load(), total_.load());
  return {};
}

void Ledger::give_back(Category category, Bytes bytes) {
  const std::lock_guard lock(mutex_);
  total_ -= bytes;
  by_category_[static_cast<std::size_t>(category)] -= bytes;
}

}  // namespace dermlens
