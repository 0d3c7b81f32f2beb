#include <gtest/gtest.h>

#include "history/store.h"

namespace dermlens::history {
namespace {

TEST(Csv, FormulasAreDefused) {
  Record record;
  record.note.symptom = "=HYPERLINK(\"http://x\")";
  EXPECT_NE(csv_line(record).find("\"'=HYPERLINK(\"\"http://x\"\")\""), std::string::npos);
}

TEST(Csv, EveryLineHasAsManyCellsAsTheHeader) {
  Record record;
  record.top_class = "plain";
  const auto commas = [](const std::string& line) {
    return std::count(line.begin(), line.end(), ',');
  };
  EXPECT_EQ(commas(csv_line(record)), commas(csv_header()));
}

TEST(Csv, LineEndsInNotesStayInsideQuotes) {
  Record record;
  record.note.symptom = "a\nb, \"c\"";
  EXPECT_NE(csv_line(record).find("\"a\nb, \"\"c\"\"\""), std::string::npos);
}

TEST(Dates, RoundTripThroughUtc) {
  const auto seconds = parse_date("2025-01-31");
  ASSERT_TRUE(seconds);
  EXPECT_EQ(format_time(*seconds), "2025-01-31T00:00:00Z");
}

TEST(Dates, DaysThatDoNotExistAreMalformed) {
  for (const char* text : {"", "2025-02-30", "2025-13-01", "2025-00-10", "1-1-1", "2025-01-3x",
                           "2025/01/31", "20250-1-31", "0000-01-01"})
    EXPECT_FALSE(parse_date(text)) << text;
}

}  // namespace
}  // namespace dermlens::history
