// JSON as people and other programs expect it: the one writer for everything that leaves us.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>

namespace dermlens {

// Numbers are the shortest text that reads back as the same number (0.91, not 9.1E-1); what is not
// finite, which JSON cannot say, is null. What is no UTF-8 becomes U+FFFD.
std::string to_text(const boost::json::value& value);
std::string to_text(const boost::json::object& object);
// How long that text will be: about, and never less where it is mostly strings of UTF-8.
std::size_t text_bytes(const boost::json::value& value);
std::size_t text_bytes(const boost::json::object& object);

}  // namespace dermlens
