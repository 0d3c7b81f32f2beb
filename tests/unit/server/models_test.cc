#include "server/models.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string_view>
#include <thread>

namespace {

// The n-th allocation of this thread from now fails; negative: none does.
thread_local long allocations_left = -1;

// oneDNN 2.6 ends the process where it finds no memory for machine code: nobody survives that.
bool is_of_onednn(const void* caller) {
  Dl_info object{};
  return ::dladdr(caller, &object) != 0 &&
         std::string_view(object.dli_fname).find("libdnnl") != std::string_view::npos;
}

void* allocate(std::size_t size, const void* caller) {
  if (allocations_left >= 0 && !is_of_onednn(caller)) {
    if (allocations_left == 0) throw std::bad_alloc();
    --allocations_left;
  }
  void* const memory = std::malloc(std::max<std::size_t>(size, 1));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, __builtin_return_address(0)); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace dermlens::server {
namespace {

namespace fs = std::filesystem;

class ModelsTest : public testing::Test {
 protected:
  ModelsTest()
      : folder_(fs::temp_directory_path() / ("dermlens-models-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    fs::copy_file(DERMLENS_SOURCE_DIR "/tests/golden/fixtures/mbconv/model.onnx",
                  folder_ / "small.onnx", fs::copy_options::overwrite_existing);
  }
  ~ModelsTest() override { fs::remove_all(folder_); }

  std::unique_ptr<Models> open() {
    Models::Options options;
    options.directory = folder_.string();
    auto models = Models::open(std::move(options), ledger_, [](const diagnose::Model&, double) {});
    EXPECT_TRUE(models) << (models ? "" : models.error().message);
    return models ? std::move(*models) : nullptr;
  }
  static Clock::time_point soon() { return Clock::now() + std::chrono::seconds(20); }

  fs::path folder_;
  Ledger ledger_{Bytes{256} << 20};
};

TEST_F(ModelsTest, ALoadThatRunsOutOfMemoryCanBeTriedAgain) {
  const auto models = open();
  int failures = 0;
  for (long n = 40;; n += n / 2) {
    allocations_left = n;
    Result<void> loaded;
    try {
      loaded = models->load("small", {}, soon());
    } catch (const std::bad_alloc&) {
      loaded = fail(Errc::no_memory, "before the load began");
    }
    const bool all_done = allocations_left > 0;
    allocations_left = -1;
    if (!loaded) {
      EXPECT_EQ(models->list().front().state, ModelState::unloaded) << "after " << n;
      ++failures;
    }
    const auto again = models->load("small", {}, Clock::now() + std::chrono::seconds(1));
    ASSERT_TRUE(again) << "after " << n << " allocations: " << again.error().message;
    ASSERT_TRUE(models->unload("small", {}, soon()));
    if (all_done) break;
  }
  EXPECT_GT(failures, 3);
  EXPECT_EQ(ledger_.reserved(), 0U);
}

TEST_F(ModelsTest, AFileThatHasGoneIsNoWrongNameAndItsPlaceIsNotTold) {
  const auto models = open();
  ASSERT_TRUE(models->load("small", {}, soon()));
  fs::remove(folder_ / "small.onnx");
  const auto reloaded = models->load("small", {}, soon());
  ASSERT_TRUE(models->acquire("small", {}, soon())) << "what is loaded needs no file";
  ASSERT_TRUE(models->unload("small", {}, soon()));
  const auto acquired = models->acquire("small", {}, soon());
  ASSERT_FALSE(reloaded);
  ASSERT_FALSE(acquired);
  for (const Error& error : {reloaded.error(), acquired.error()}) {
    EXPECT_EQ(error.code, Errc::io);
    EXPECT_EQ(error.message.find(folder_.string()), std::string::npos) << error.message;
  }
}

TEST_F(ModelsTest, AskingForWhatIsNotThereHoldsNobodyUp) {
  // Folders that a look into the folder opens, one by one.
  for (int i = 0; i < 1000; ++i) fs::create_directory(folder_ / ("empty-" + std::to_string(i)));
  const auto models = open();
  std::atomic<bool> done = false;
  std::vector<double> looks;
  std::thread stranger([&] {
    while (!done) {
      const auto start = Clock::now();
      EXPECT_EQ(models->acquire("nobody", {}, soon()).error().code, Errc::not_found);
      looks.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
  });
  std::vector<double> waits;
  for (int i = 0; i < 300; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto start = Clock::now();
    EXPECT_EQ(models->list().size(), 1U);
    waits.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  done = true;
  stranger.join();
  const auto median = [](std::vector<double>& values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
  };
  EXPECT_LT(median(waits), median(looks) / 4);
}

}  // namespace
}  // namespace dermlens::server
