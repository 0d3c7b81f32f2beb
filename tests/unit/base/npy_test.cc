// Laws of .npy files: what NumPy writes is read, what we write is what NumPy would have written,
// and no header, however wrong, is believed.
#include "base/npy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace dermlens {
namespace {

ByteView view(const std::string& text) { return std::as_bytes(std::span(text)); }

// A version 1 file with this dict and data, padded as NumPy pads.
std::string file_of(std::string dict, const std::string& data) {
  dict.resize((10 + dict.size() + 64) / 64 * 64 - 11, ' ');
  dict.push_back('\n');
  const auto length = static_cast<std::uint16_t>(dict.size());
  std::string file("\x93NUMPY\x01\x00", 8);
  file.append(reinterpret_cast<const char*>(&length), 2);
  return file + dict + data;
}

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string bytes;
  for (const T& value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
  return bytes;
}

std::string dict_of(const std::string& descr, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
}

TEST(Npy, WhatIsWrittenIsReadBack) {
  const std::vector<std::int64_t> shape{2, 1, 3};
  const std::vector<float> values{1, -2.5F, 3e30F, 0, 1e-40F, 6};
  const auto path = testing::TempDir() + "npy_" + std::to_string(::getpid()) + ".npy";
  std::ofstream(path, std::ios::binary) << *format_npy(shape, std::span<const float>(values));
  const auto array = read_npy(path);
  ASSERT_TRUE(array) << array.error().message;
  EXPECT_EQ(array->shape, shape);
  EXPECT_EQ(array->type, NpyType::f32);
  EXPECT_EQ(array->to_floats(), values);
  std::filesystem::remove(path);
}

TEST(Npy, WrittenBytesAreThoseOfNumPy) {
  const std::vector<std::int64_t> values{1, -2};
  const std::vector<std::int64_t> vector{2};
  const std::vector<std::int64_t> matrix{1, 2};
  EXPECT_EQ(*format_npy(vector, std::span(values)),
            file_of(dict_of("<i8", "(2,)"), bytes_of<std::int64_t>({1, -2})));
  EXPECT_EQ(*format_npy(matrix, std::span(values)),
            file_of(dict_of("<i8", "(1, 2)"), bytes_of<std::int64_t>({1, -2})));
  const std::vector<float> one{7};
  EXPECT_EQ(*format_npy({}, std::span<const float>(one)),
            file_of(dict_of("<f4", "()"), bytes_of<float>({7})));
  const bool truths[] = {true, false};
  EXPECT_EQ(*format_npy(vector, std::span<const bool>(truths)),
            file_of(dict_of("|b1", "(2,)"), std::string("\x01\0", 2)));
}

TEST(Npy, EveryTypeConverts) {
  const auto floats = [](const std::string& descr, const std::string& data) {
    const auto array = parse_npy(view(file_of(dict_of(descr, "(2,)"), data)));
    EXPECT_TRUE(array) << descr;
    return array ? array->to_floats() : std::vector<float>{};
  };
  const std::vector<float> expected{1, 0};
  EXPECT_EQ(floats("<f4", bytes_of<float>({1, 0})), expected);
  EXPECT_EQ(floats("<f8", bytes_of<double>({1, 0})), expected);
  EXPECT_EQ(floats("<i8", bytes_of<std::int64_t>({1, 0})), expected);
  EXPECT_EQ(floats("<i4", bytes_of<std::int32_t>({1, 0})), expected);
  EXPECT_EQ(floats("|u1", std::string("\x01\x00", 2)), expected);
  EXPECT_EQ(floats("|b1", std::string("\x01\x00", 2)), expected);
}

TEST(Npy, IntegersAreNotMadeFromFloats) {
  const auto of = [](const std::string& descr, const std::string& data) {
    return parse_npy(view(file_of(dict_of(descr, "(1,)"), data)))->to_integers();
  };
  EXPECT_FALSE(of("<f4", bytes_of<float>({1})));
  EXPECT_EQ(*of("<i8", bytes_of<std::int64_t>({-9})), std::vector<std::int64_t>{-9});
}

TEST(Npy, HeadersMayOrderTheirKeysFreelyAndBeOfVersionTwo) {
  const std::string dict = "{\"shape\":(1,2),'fortran_order':False,'descr':'|u1'}";
  EXPECT_TRUE(parse_npy(view(file_of(dict, "ab"))));
  std::string two("\x93NUMPY\x02\x00", 8);
  const auto length = static_cast<std::uint32_t>(dict.size());
  two.append(reinterpret_cast<const char*>(&length), 4).append(dict).append("ab");
  EXPECT_TRUE(parse_npy(view(two)));
}

TEST(Npy, ScalarsAndEmptyArraysAreArrays) {
  EXPECT_EQ(parse_npy(view(file_of(dict_of("|u1", "()"), "a")))->elements(), 1U);
  EXPECT_EQ(parse_npy(view(file_of(dict_of("<f4", "(0, 5)"), "")))->elements(), 0U);
}

TEST(Npy, EveryTruncationAndEveryTailIsRefused) {
  const std::string whole = file_of(dict_of("<f4", "(2,)"), bytes_of<float>({1, 2}));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parse_npy(view(whole.substr(0, size)))) << size;
  EXPECT_FALSE(parse_npy(view(whole + "x")));
}

TEST(Npy, WrongHeadersAreRefusedWithTheirReason) {
  const auto code = [](const std::string& dict) {
    const auto array = parse_npy(view(file_of(dict, "ab")));
    EXPECT_FALSE(array) << dict;
    return array ? Errc::internal : array.error().code;
  };
  EXPECT_EQ(code(dict_of(">f4", "(2,)")), Errc::unsupported);
  EXPECT_EQ(code(dict_of("|O", "(2,)")), Errc::unsupported);
  EXPECT_EQ(code("{'descr': '|u1', 'fortran_order': True, 'shape': (2,), }"), Errc::unsupported);
  EXPECT_EQ(code(dict_of("|u1", "(-2,)")), Errc::malformed);
  EXPECT_EQ(code(dict_of("|u1", "(99999999999999999999,)")), Errc::malformed);
  EXPECT_EQ(code(dict_of("<f8", "(4611686018427387904, 2)")), Errc::too_large);
  EXPECT_EQ(code(dict_of("|u1", "(4294967296,)")), Errc::too_large);
  for (const char* dict :
       {"", "{", "{}", "{'descr'", "{'descr': '|u1'", "{'descr': '|u1', 'shape': (2", "2",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,",
        "{'descr': '|u1', 'fortran_order': Maybe, 'shape': (2,)}",
        "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}"})
    EXPECT_EQ(code(dict), Errc::malformed) << dict;
  std::string dimensions = "(";
  for (int i = 0; i < 40; ++i) dimensions += "1, ";
  EXPECT_EQ(code(dict_of("|u1", dimensions + ")")), Errc::too_large);
}

TEST(Npy, TheCallersLimitHolds) {
  const std::string file = file_of(dict_of("<f4", "(2,)"), bytes_of<float>({1, 2}));
  EXPECT_TRUE(parse_npy(view(file), 8));
  EXPECT_EQ(parse_npy(view(file), 7).error().code, Errc::too_large);
}

TEST(Npy, FilesThatCannotBeReadAndShapesThatDoNotFitSaySo) {
  EXPECT_EQ(read_npy("/no/such/file.npy").error().code, Errc::not_found);
  const std::vector<float> one{1};
  const std::vector<std::int64_t> shape{2};
  EXPECT_EQ(format_npy(shape, std::span<const float>(one)).error().code, Errc::internal);
}

}  // namespace
}  // namespace dermlens
