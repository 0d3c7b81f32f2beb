// Boost.JSON with a memory resource that asks the ledger.
#include "server/json_body.h"

#include <boost/json/stream_parser.hpp>
#include <new>

namespace dermlens::server {
namespace {

constexpr Bytes kStep = 64 * 1024;
constexpr std::size_t kMaxDepth = 16;

}  // namespace

// Boost.JSON never needs more than what `new` grants any object, and gives some of its strings back
// with another alignment than it asked for: so alignment is left to `new`.
void* LedgerMemory::do_allocate(std::size_t size, std::size_t) {
  if (used_ + size > hold_.bytes()) {
    const Bytes wanted = align_up(used_ + size, kStep);
    if (hold_.bytes() == 0) {
      auto hold = ledger_.reserve(Category::bodies, wanted);
      if (!hold) {
        refusal_ = std::move(hold).error();
        throw std::bad_alloc();
      }
      hold_ = std::move(*hold);
    } else if (auto grown = hold_.resize(wanted); !grown) {
      refusal_ = std::move(grown).error();
      throw std::bad_alloc();
    }
  }
  void* memory = ::operator new(size);
  used_ += size;
  return memory;
}

void LedgerMemory::do_deallocate(void* memory, std::size_t size, std::size_t) {
  ::operator delete(memory);
  used_ -= size;
}

Result<JsonBody> JsonBody::parse(std::string_view text, Ledger& ledger) {
  JsonBody body;
  body.memory_ = std::make_unique<LedgerMemory>(ledger);
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  try {
    // The constructor's resource is for the parser's own stack; the value's is told by reset().
    boost::json::stream_parser parser(body.memory_.get(), options);
    parser.reset(body.memory_.get());
    boost::json::error_code error;
    parser.write(text.data(), text.size(), error);
    if (!error) parser.finish(error);
    if (error) return fail(Errc::malformed, "the body is not JSON (", error.message(), ")");
    body.value_ = std::make_unique<boost::json::value>(parser.release());
  } catch (const std::bad_alloc&) {
    if (body.memory_->refusal().needed != 0) return tl::make_unexpected(body.memory_->refusal());
    throw;
  } catch (const std::length_error&) {
    return fail(Errc::too_large, "the body's JSON is too large (", text.size(), ")");
  }
  return body;
}

const boost::json::value* find(const boost::json::value& value, std::string_view name) {
  const auto* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}

const boost::json::string* find_string(const boost::json::value& value, std::string_view name) {
  const auto* member = find(value, name);
  return member == nullptr ? nullptr : member->if_string();
}

}  // namespace dermlens::server
