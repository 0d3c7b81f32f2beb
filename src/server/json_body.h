// JSON from a client, parsed inside the ledger: every byte the parsed value takes was reserved
// first, so a body made of a million small things meets the limit and not the kernel.
#pragma once

#include <boost/json/memory_resource.hpp>
#include <boost/json/value.hpp>
#include <memory>
#include <string_view>

#include "base/checked.h"
#include "base/result.h"
#include "memory/ledger.h"

namespace dermlens::server {

// Memory for boost::json out of Category::bodies, reserved in steps of 64 KiB.
class LedgerMemory final : public boost::json::memory_resource {
 public:
  explicit LedgerMemory(Ledger& ledger) : ledger_(ledger) {}
  ~LedgerMemory() override = default;
  LedgerMemory(const LedgerMemory&) = delete;
  LedgerMemory& operator=(const LedgerMemory&) = delete;

  // The error of the reservation that failed last; code `internal` where none did.
  const Error& refusal() const { return refusal_; }

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t size, std::size_t alignment) override;
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  Ledger& ledger_;
  Reservation hold_;
  Bytes used_ = 0;
  Error refusal_;
};

// A parsed body and the memory it lives in.
class JsonBody {
 public:
  // Fails with malformed (naming the place) for what is not one JSON document of at most 16 levels,
  // with no_memory or over_limit where it does not fit.
  static Result<JsonBody> parse(std::string_view text, Ledger& ledger);
  JsonBody(JsonBody&&) = default;
  JsonBody& operator=(JsonBody&&) = delete;  // it would free the memory before the value

  const boost::json::value& value() const { return *value_; }

 private:
  JsonBody() = default;

  std::unique_ptr<LedgerMemory> memory_;
  std::unique_ptr<boost::json::value> value_;  // destroyed before its memory
};

// Members of an object by name, of the right kind, or null.
const boost::json::value* find(const boost::json::value& value, std::string_view name);
const boost::json::string* find_string(const boost::json::value& value, std::string_view name);

}  // namespace dermlens::server
