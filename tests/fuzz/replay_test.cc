// Runs a fuzz target over its committed seeds, and over damaged and cut copies of each: the same
// every time, with any compiler, as a plain test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;
using Input = std::vector<std::uint8_t>;

constexpr int kDamagedCopies = 40;
constexpr std::size_t kMostBytes = 1 << 20;

std::vector<fs::path> seeds() {
  std::vector<fs::path> files;
  std::stringstream folders(DERMLENS_CORPUS);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!fs::is_directory(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Input read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void run(const Input& input) { LLVMFuzzerTestOneInput(input.data(), input.size()); }

class Damage {
 public:
  std::uint32_t next() { return state_ = state_ * 1664525 + 1013904223; }
  Input damaged(Input input) {
    const std::uint32_t places = 1 + (next() >> 16) % 6;
    for (std::uint32_t i = 0; i < places && !input.empty(); ++i)
      input[(next() >> 4) % input.size()] = static_cast<std::uint8_t>(next() >> 24);
    if ((next() >> 16) % 4 == 0) input.resize((next() >> 4) % (input.size() + 1));
    return input;
  }

 private:
  std::uint32_t state_ = 20240229;
};

TEST(Replay, SeedsAndTheirDamagedCopiesEndInAnAnswer) {
  const auto files = seeds();
  ASSERT_FALSE(files.empty()) << "no seeds in " << DERMLENS_CORPUS;
  run({});
  Damage damage;
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    const Input seed = read(file);
    if (seed.size() > kMostBytes) continue;
    run(seed);
    for (int i = 0; i < kDamagedCopies; ++i) run(damage.damaged(seed));
  }
}

}  // namespace
