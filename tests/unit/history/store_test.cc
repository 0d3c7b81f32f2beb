#include "history/store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace dermlens::history {
namespace {

class StoreTest : public testing::Test {
 protected:
  StoreTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("dermlens-history-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~StoreTest() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return (folder_ / "history.db").string(); }
  std::unique_ptr<Store> open() const {
    auto store = Store::open(path());
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    return store ? std::move(*store) : nullptr;
  }
  static Record record(char digit, std::int64_t created, std::string top_class) {
    Record record;
    record.id = std::string(32, digit);
    record.created = created;
    record.model_name = "m";
    record.model_version = "1";
    record.top_class = std::move(top_class);
    record.top_probability = 0.5;
    record.note.symptom = "ngứa";
    return record;
  }
  static Parts parts() { return {"{}", {"\x89PNG\0x", 6}, {"\xff\xd8\0", 3}}; }
  void run_sql(const char* sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  }

  std::filesystem::path folder_;
};

TEST_F(StoreTest, WhatWasAddedIsFoundAgainAfterReopening) {
  ASSERT_TRUE(open()->add(record('a', 100, "x"), parts()));
  const auto found = open()->find(std::string(32, 'a'));
  ASSERT_TRUE(found && found->has_value());
  EXPECT_EQ((*found)->created, 100);
  EXPECT_EQ((*found)->json, 2U);
  EXPECT_EQ((*found)->overlay_png, 6U);
  EXPECT_EQ((*found)->photo_jpeg, 3U);
  EXPECT_EQ(**open()->read(std::string(32, 'a'), Part::json), "{}");
  EXPECT_EQ((*open()->read(std::string(32, 'a'), Part::overlay_png))->size(), 6U);
  EXPECT_EQ(**open()->read(std::string(32, 'a'), Part::photo_jpeg), std::string("\xff\xd8\0", 3));
  EXPECT_EQ(open()->list({})->front().note.symptom, "ngứa");
  EXPECT_FALSE(open()->find(std::string(32, 'b'))->has_value());
  EXPECT_FALSE(open()->read(std::string(32, 'b'), Part::json)->has_value());
}

TEST_F(StoreTest, ListsAreNewestFirstAndFiltered) {
  const auto store = open();
  ASSERT_TRUE(store->add(record('a', 100, "x"), parts()));
  ASSERT_TRUE(store->add(record('b', 200, "y"), parts()));
  ASSERT_TRUE(store->add(record('c', 300, "x"), parts()));
  const auto all = store->list({});
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 3U);
  EXPECT_EQ(all->front().created, 300);
  Filter filter;
  filter.top_class = "x";
  filter.before = 300;
  const auto some = store->list(filter);
  ASSERT_TRUE(some);
  ASSERT_EQ(some->size(), 1U);
  EXPECT_EQ(some->front().created, 100);
  EXPECT_EQ(*store->count(filter), 1);
  EXPECT_EQ(store->classes()->size(), 2U);
}

TEST_F(StoreTest, ErasingRemovesOneOrTheOld) {
  const auto store = open();
  ASSERT_TRUE(store->add(record('a', 100, "x"), parts()));
  ASSERT_TRUE(store->add(record('b', 200, "y"), parts()));
  EXPECT_TRUE(*store->erase(std::string(32, 'a')));
  EXPECT_FALSE(*store->erase(std::string(32, 'a')));
  EXPECT_EQ(*store->erase_before(1000), 1);
  EXPECT_EQ(*store->count({}), 0);
}

TEST_F(StoreTest, WhatWasErasedIsInNoFileAnyMore) {
  const auto store = open();
  const auto held_somewhere = [this](const std::string& text) {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)), {});
      if (bytes.find(text) != std::string::npos) return true;
    }
    return false;
  };
  for (const char digit : {'a', 'b', 'c'}) {
    Record record_of_patient = record(digit, 100, "x");
    record_of_patient.note.symptom = std::string("patient-") + digit;
    std::string photo;
    for (int i = 0; i < 4000; ++i) photo += std::string("photo-") + digit;
    ASSERT_TRUE(store->add(record_of_patient, {"{}", "", photo}));
  }
  ASSERT_TRUE(held_somewhere("photo-a"));
  ASSERT_TRUE(*store->erase(std::string(32, 'a')));
  EXPECT_FALSE(held_somewhere("patient-a"));
  EXPECT_FALSE(held_somewhere("photo-a"));
  EXPECT_TRUE(held_somewhere("photo-b"));
  EXPECT_EQ(*store->erase_before(1000), 2);
  for (const char* text : {"patient-b", "photo-b", "patient-c", "photo-c"})
    EXPECT_FALSE(held_somewhere(text)) << text;
}

TEST_F(StoreTest, ErasingFailsAsLongAsAReaderKeepsTheLog) {
  const auto store = open();
  ASSERT_TRUE(store->add(record('a', 100, "x"), parts()));
  ASSERT_TRUE(store->add(record('b', 200, "x"), parts()));
  const auto log_size = [this] { return std::filesystem::file_size(path() + "-wal"); };
  sqlite3* reader = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &reader), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM results", nullptr, nullptr, nullptr),
            SQLITE_OK);
  const auto erased = store->erase(std::string(32, 'a'));
  ASSERT_FALSE(erased);
  EXPECT_EQ(erased.error().code, Errc::busy);
  EXPECT_EQ(store->erase_before(1000).error().code, Errc::busy);
  EXPECT_GT(log_size(), 0U);
  EXPECT_TRUE(Store::open(path())) << "a reader is no reason not to start";
  sqlite3_close(reader);
  // Nothing is left to erase but in the log.
  EXPECT_EQ(*store->erase_before(1000), 0);
  EXPECT_EQ(log_size(), 0U);
}

TEST_F(StoreTest, AListIsNeverHeavierThanItWasWeighed) {
  const auto store = open();
  for (char digit = 'a'; digit <= 'f'; ++digit) {
    Record full = record(digit, digit, "x");
    full.note = {"4", "f", std::string(kMaxNote, digit), std::string(kMaxNote, 'z'), "ngứa"};
    ASSERT_TRUE(store->add(full, {"{}", "", std::string(1 << 20, 'x')}));
  }
  for (const std::size_t limit : {0U, 1U, 4U, 50U}) {
    Filter filter;
    filter.limit = limit;
    filter.offset = 1;
    Bytes bytes = 0;
    const auto listed = store->list(filter);
    ASSERT_TRUE(listed);
    for (const Record& one : *listed)
      bytes += sizeof one + one.note.symptom.size() + one.note.illness_history.size();
    EXPECT_GE(*store->weigh(filter), bytes);
    EXPECT_LE(*store->weigh(filter), bytes + 6 * 512);
  }
}

TEST_F(StoreTest, TheFileIsItsOwnersOnly) {
  open();
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(StoreTest, TooLongNotesAreRefused) {
  Record long_note = record('a', 1, "x");
  long_note.note.symptom.assign(kMaxNote + 1, 'x');
  const auto added = open()->add(long_note, parts());
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::too_large);
}

TEST_F(StoreTest, NewerFilesAreNotTouched) {
  open();
  run_sql("PRAGMA user_version = 99");
  const auto store = Store::open(path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::unsupported);
}

TEST_F(StoreTest, FilesOfOtherProgramsAreNotTouched) {
  run_sql("CREATE TABLE theirs(x)");
  const auto store = Store::open(path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::unsupported);
}

TEST_F(StoreTest, DamageIsFoundAtOpening) {
  {
    const auto store = open();
    for (char digit = 'a'; digit <= 'f'; ++digit)
      ASSERT_TRUE(store->add(record(digit, digit, std::string(3000, digit)), parts()));
  }
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 * 2 + 8);
  file << std::string(2000, '\xff');
  file.close();
  const auto store = Store::open(path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::corrupt);
}

TEST_F(StoreTest, GarbageIsNotAHistory) {
  std::ofstream(path()) << std::string(8192, 'z');
  const auto store = Store::open(path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::corrupt);
}

TEST_F(StoreTest, ThreadsDoNotLoseRecords) {
  const auto store = open();
  std::vector<std::thread> threads;
  for (char t = '0'; t < '4'; ++t)
    threads.emplace_back([&store, t] {
      for (char i = '0'; i <= '9'; ++i) {
        Record one = record(t, 1, "x");
        one.id[31] = i;
        EXPECT_TRUE(store->add(one, parts()));
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(*store->count({}), 40);
}

}  // namespace
}  // namespace dermlens::history
