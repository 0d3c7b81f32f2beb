// A pack is a cache that nobody trusts: whatever happens to it, the answer is right or an error.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/mapped_file.h"
#include "unit/exec/fixture.h"

namespace dermlens::exec {
namespace {

namespace fs = std::filesystem;

class Packs : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "packsXXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    options_.placement = plan::Placement::streamed;
    options_.cache_dir = (folder_ / "cache").string();
    const auto outcome = run_fresh("mbconv", options_, ledger_);
    ASSERT_TRUE(outcome) << outcome.error().message;
    right_ = *outcome;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<fs::path> packs() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(options_.cache_dir))
      found.push_back(entry.path());
    return found;
  }
  std::string content() const {
    std::stringstream text;
    text << std::ifstream(packs().front(), std::ios::binary).rdbuf();
    return text.str();
  }
  void overwrite(const std::string& bytes) const {
    std::ofstream(packs().front(), std::ios::binary | std::ios::trunc) << bytes;
  }
  // Loads with what lies in the cache; whether the pack had to be built, and the answer is right.
  bool rebuilt() {
    auto network = read_network(model_);
    EXPECT_TRUE(network);
    ProgramOptions options = options_;
    options.files = network->files;
    const auto program = Program::load(std::move(network->graph), options, ledger_);
    EXPECT_TRUE(program) << program.error().message;
    if (!program) return false;
    const auto session = Session::open(*program, ledger_);
    EXPECT_TRUE(session);
    const auto outcome = run(**session, **program, network->ends, 1, 0);
    EXPECT_TRUE(outcome && *outcome == right_);
    return (*program)->pack_built();
  }

  fs::path folder_;
  std::string model_ = "mbconv";
  ProgramOptions options_;
  Ledger ledger_{kPlenty};
  Outcome right_;
};

TEST_F(Packs, AreFoundAgain) {
  ASSERT_EQ(packs().size(), 1U);
  EXPECT_FALSE(rebuilt());
  EXPECT_EQ(packs().size(), 1U);
}

TEST_F(Packs, AnyChangedByteIsNoticedAndThePackBuiltAnew) {
  const std::string good = content();
  // The header's fields, the space behind them, and bytes all over the weights.
  std::vector<std::size_t> places{0, 7, 8, 24, 40, 56, 64, 72, 80, 90, 100};
  for (std::size_t at = 4096; at < good.size(); at += good.size() / 16) places.push_back(at);
  places.push_back(good.size() - 1);
  for (const std::size_t at : places) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    overwrite(bad);
    EXPECT_TRUE(rebuilt()) << "byte " << at;
    EXPECT_EQ(content(), good) << "byte " << at;
  }
}

TEST_F(Packs, ShortEmptyAndLongFilesAreBuiltAnew) {
  const std::string good = content();
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{4096}, good.size() / 2, good.size() - 1}) {
    overwrite(good.substr(0, length));
    EXPECT_TRUE(rebuilt()) << "length " << length;
  }
  overwrite(good + "more");
  EXPECT_TRUE(rebuilt());
  EXPECT_FALSE(rebuilt());
}

TEST_F(Packs, OfAnotherModelUnderTheSameNameAreBuiltAnew) {
  // The same layouts, other weights: one byte of an initializer, in a copy with the same name.
  const fs::path copy = folder_ / "model.onnx";
  fs::copy_file(DERMLENS_SOURCE_DIR "/tests/golden/fixtures/mbconv/model.onnx", copy);
  model_ = copy.string();
  EXPECT_TRUE(rebuilt());
  EXPECT_FALSE(rebuilt());
  auto network = read_network(model_);
  ASSERT_TRUE(network);
  std::optional<std::size_t> place;
  for (graph::ValueId id = 0; id < network->graph.value_count() && !place; ++id) {
    const auto& constant = network->graph.value(id).constant;
    if (constant && constant->stored.size() > 1000 && is_mapped(constant->stored))
      place = static_cast<std::size_t>(constant->stored.data() -
                                       network->files.front()->bytes().data());
  }
  ASSERT_TRUE(place);
  std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(*place + 3));
  file.put('\x3F');
  file.close();
  const auto other = run_fresh(model_, options_, ledger_);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_NE(*other, right_);
  ProgramOptions resident;
  resident.placement = plan::Placement::resident;
  EXPECT_EQ(*other, *run_fresh(model_, resident, ledger_));
}

TEST_F(Packs, OfAnotherLayoutLieBesideEachOther) {
  const auto other = run_fresh("residual", options_, ledger_);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(packs().size(), 2U);
  EXPECT_FALSE(rebuilt());
}

TEST_F(Packs, TwoProcessesThatBuildAtOnceBothGetTheirs) {
  for (const fs::path& pack : packs()) fs::remove(pack);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto outcome = run_fresh("mbconv", options_, ledger_);
      ::_exit(outcome && *outcome == right_ ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(packs().size(), 1U) << "drafts were left behind";
  EXPECT_FALSE(rebuilt());
}

TEST_F(Packs, ACacheThatCannotBeWrittenOnlyCostsTime) {
  // A file where the folder should be: nobody, not even root, can write in there.
  options_.cache_dir = (folder_ / "file" / "cache").string();
  std::ofstream(folder_ / "file") << "in the way";
  EXPECT_TRUE(rebuilt());
  EXPECT_TRUE(rebuilt());
}

TEST_F(Packs, AFullDiskOnlyCostsTime) {
  // A limit on the size of files stands for the full disk.
  for (const fs::path& pack : packs()) fs::remove(pack);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto outcome = run_fresh("mbconv", options_, ledger_);
    // Not even a temporary file has room: an error, and no signal.
    ::_exit(!outcome && outcome.error().code == Errc::io ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(packs().empty());
}

TEST_F(Packs, TruncatedInPlaceWhileMappedAreAnErrorAndNoSignal) {
  auto network = read_network("mbconv");
  ASSERT_TRUE(network);
  for (const plan::Placement placement : {plan::Placement::mapped, plan::Placement::streamed}) {
    auto again = read_network("mbconv");
    ProgramOptions options = options_;
    options.placement = placement;
    options.files = again->files;
    const auto program = Program::load(std::move(again->graph), options, ledger_);
    ASSERT_TRUE(program) << program.error().message;
    const auto session = Session::open(*program, ledger_);
    ASSERT_TRUE(session);
    ASSERT_EQ(::truncate(packs().front().c_str(), 4096), 0);
    const auto outcome = run(**session, **program, again->ends, 1, 0);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Errc::corrupt);
    EXPECT_TRUE((*program)->damaged());
    EXPECT_TRUE(rebuilt());
  }
}

TEST_F(Packs, BuildingStaysUnderTheLimit) {
  for (const fs::path& pack : packs()) fs::remove(pack);
  auto network = read_network("mbconv");
  ASSERT_TRUE(network);
  const auto plan = make_plan(network->graph);
  ASSERT_TRUE(plan);
  Ledger tight(plan->total(plan::Placement::streamed, 1) + plan->building);
  const auto outcome = run_fresh("mbconv", options_, tight);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(*outcome, right_);
  EXPECT_LE(tight.peak(), tight.limit());
}

}  // namespace
}  // namespace dermlens::exec
