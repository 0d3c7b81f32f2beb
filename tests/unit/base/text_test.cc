#include "base/text.h"

#include <gtest/gtest.h>

namespace dermlens {
namespace {

TEST(CleanText, IsUtf8WithoutControlCharacters) {
  for (const char* good : {"", "Vảy nến", "\xF0\x9F\x99\x82", "a b"})
    EXPECT_TRUE(is_clean_text(good)) << good;
  for (const char* bad :
       {"\x01", "a\tb", "\x7f", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80", "\x80", "\xE1\x80", "\xC2\x9B", "\xF0\x8F\xBF\xBF"})
    EXPECT_FALSE(is_clean_text(bad)) << bad;
}

TEST(AsUtf8, ReplacesWhatIsNoneByteByByteAndKeepsTheRest) {
  EXPECT_EQ(as_utf8("Vảy\n"), "Vảy\n");
  EXPECT_EQ(as_utf8("a\xff"
                    "b"),
            "a\uFFFDb");
  EXPECT_EQ(as_utf8("\xc3"), "\uFFFD");
  EXPECT_EQ(as_utf8("twelve bytes Vảy twelve bytes"), "twelve bytes Vảy twelve bytes");
  EXPECT_EQ(as_utf8("twelve bytes \xff twelve bytes"), "twelve bytes \uFFFD twelve bytes");
  EXPECT_EQ(as_utf8("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");
}

TEST(Printable, HasNoControlCharactersAndKeepsUtf8) {
  EXPECT_EQ(printable("a\x1b[31m\nb\x7f"), "a?[31m?b?");
  EXPECT_EQ(printable("Vảy nến"), "Vảy nến");
  // CSI in eight bits, as UTF-8 and as a bare byte.
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");
  EXPECT_EQ(printable("\x9b"
                      "31m"),
            "\uFFFD31m");
  for (int byte = 0; byte < 256; ++byte)
    EXPECT_TRUE(is_clean_text(printable(std::string(1, static_cast<char>(byte))))) << byte;
}

}  // namespace
}  // namespace dermlens
