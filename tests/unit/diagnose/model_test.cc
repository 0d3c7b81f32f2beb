// The whole request line on the committed reference networks: real files, real sessions.
#include "diagnose/model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/npy.h"
#include "diagnose/network.h"
#include "image/encode.h"
#include "image/header.h"

namespace dermlens::diagnose {
namespace {

std::string fixture(const std::string& name) {
  return DERMLENS_SOURCE_DIR "/tests/golden/fixtures/" + name;
}

// A picture with some structure, as PNG.
std::string photo(std::uint32_t width, std::uint32_t height) {
  Ledger ledger(Bytes{64} << 20);
  Picture picture = std::move(*Picture::make({width, height}, ledger));
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      for (std::uint32_t c = 0; c < 3; ++c)
        picture.row(y)[x * 3 + c] =
            static_cast<std::uint8_t>((x * (3 + c) + y * (7 - c) + (x / 9) * (y / 5)) & 0xFFU);
  return std::string(encode_png(picture, ledger)->text());
}

ByteView bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

class Answering : public testing::Test {
 protected:
  std::shared_ptr<Model> load(const std::string& name, LoadOptions options = {}) {
    auto model = Model::load(fixture(name) + "/model.onnx", options, ledger);
    EXPECT_TRUE(model) << (model ? "" : model.error().message);
    return model ? *model : nullptr;
  }
  Ledger ledger{Bytes{512} << 20};
};

TEST_F(Answering, ProbabilitiesAreSortedAndSumToOne) {
  const auto model = load("residual");
  const auto answer = model->answer(bytes_of(photo(120, 80)), {});
  ASSERT_TRUE(answer) << answer.error().message;
  double total = 0, last = 1;
  for (const Prediction& prediction : answer->predictions) {
    EXPECT_LE(prediction.probability, last);
    last = prediction.probability;
    total += prediction.probability;
  }
  EXPECT_NEAR(total, 1, 1e-9);
  EXPECT_EQ(answer->id.size(), 32U);
  EXPECT_EQ(answer->photo_width, 120);
  EXPECT_EQ(answer->photo_height, 80);
  EXPECT_GT(answer->planned_bytes, 0U);
}

TEST_F(Answering, EveryMethodScoreAndLayerGivesAMap) {
  const auto model = load("mbconv");
  const std::string image = photo(90, 90);
  for (const Method method : {Method::gradcam, Method::gradcam_plus_plus, Method::hirescam,
                              Method::xgradcam, Method::layercam, Method::eigencam})
    for (const Score score : {Score::logit, Score::probability})
      for (const char* layer : {"auto", "last_conv", "watch_middle"}) {
        Request request;
        request.method = method;
        request.score = score;
        request.layer = layer;
        request.overlay = false;
        const auto answer = model->answer(bytes_of(image), request);
        ASSERT_TRUE(answer) << answer.error().message;
        const Explanation& explanation = *answer->explanation;
        EXPECT_EQ(explanation.map.size(), explanation.rows * explanation.columns);
        EXPECT_TRUE(explanation.overlay_png.empty());
      }
}

TEST_F(Answering, TheOverlayHasThePhotosAspectAndIsNeverEnlarged) {
  const auto model = load("residual");
  const std::pair<Size, Size> sizes[] = {{{200, 100}, {200, 100}}, {{2048, 512}, {1024, 256}}};
  for (const auto& [given, expected] : sizes) {
    Request request;
    request.photo = true;
    const auto answer = model->answer(bytes_of(photo(given.width, given.height)), request);
    ASSERT_TRUE(answer) << answer.error().message;
    const std::string_view overlay = answer->explanation->overlay_png;
    const auto header = read_header(std::as_bytes(std::span(overlay)));
    ASSERT_TRUE(header);
    EXPECT_EQ(header->format, Format::png);
    EXPECT_EQ(header->stored, expected);
    const std::string_view jpeg = answer->photo_jpeg;
    EXPECT_EQ(read_header(std::as_bytes(std::span(jpeg)))->stored, expected);
  }
}

TEST_F(Answering, RawOutputsEqualPytorchs) {
  for (const char* name : {"residual", "mbconv", "keras"}) {
    const auto model = load(name);
    const auto input = read_npy(fixture(name) + "/input.npy");
    const auto expected = read_npy(fixture(name) + "/logits.npy")->to_floats();
    const auto outputs = model->infer(input->to_floats());
    ASSERT_TRUE(outputs) << outputs.error().message;
    ASSERT_EQ(outputs->at(0).values.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(outputs->at(0).values[i], expected[i], 1e-4 * 10) << name;
  }
}

TEST_F(Answering, WithoutHeatmapsAnExplanationIsUnsupportedAndClassesStillWork) {
  LoadOptions options;
  options.explain = false;
  const auto model = load("residual", options);
  const std::string image = photo(64, 64);
  const auto refused = model->answer(bytes_of(image), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  Request request;
  request.explain = false;
  EXPECT_TRUE(model->answer(bytes_of(image), request));
}

TEST_F(Answering, WrongWishesAreWrongUsage) {
  const auto model = load("residual");
  const std::string image = photo(64, 64);
  Request target, layer, alpha;
  target.target = {"no such class"};
  layer.layer = "no such layer";
  alpha.alpha = std::nanf("");
  for (const Request* request : {&target, &layer, &alpha}) {
    const auto answer = model->answer(bytes_of(image), *request);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::usage);
  }
  EXPECT_EQ(model->busy_sessions(), 0);
}

TEST_F(Answering, AFailedReservationFailsCleanlyForEveryN) {
  const auto model = load("residual");
  const std::string image = photo(300, 200);
  const Bytes before = ledger.reserved();
  for (std::int64_t n = 0;; ++n) {
    ASSERT_LT(n, 200);
    const std::uint64_t refused = ledger.refused();
    ledger.fail_at(n);
    const auto answer = model->answer(bytes_of(image), {});
    ledger.fail_at(-1);
    if (ledger.refused() == refused) {
      EXPECT_TRUE(answer) << "nothing failed";
      break;
    }
    ASSERT_FALSE(answer) << n;
    EXPECT_EQ(answer.error().code, Errc::no_memory);
    EXPECT_EQ(ledger.reserved(), before);
    EXPECT_EQ(model->busy_sessions(), 0);
  }
}

TEST_F(Answering, NothingStaysReservedWhenAnswersAndModelAreGone) {
  {
    const auto model = load("residual");
    Request request;
    request.layer = "watch_middle";
    const auto answer = model->answer(bytes_of(photo(64, 64)), request);
    EXPECT_TRUE(answer);
  }
  EXPECT_EQ(ledger.reserved(), 0U);
}

TEST_F(Answering, ConcurrentRequestsAgreeWithLonelyOnesAndSurplusOnesAreBusy) {
  LoadOptions options;
  options.sessions = 2;
  const auto model = load("mbconv", options);
  const std::string image = photo(100, 70);
  const char* layers[] = {"auto", "watch_middle", "last_conv"};
  std::vector<std::vector<float>> expected;
  for (const char* layer : layers) {
    Request request;
    request.layer = layer;
    expected.push_back(model->answer(bytes_of(image), request)->explanation->map);
  }
  std::atomic<int> answered = 0, busy = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 6; ++i) {
        Request request;
        request.layer = layers[(t + i) % 3];
        const auto answer = model->answer(bytes_of(image), request);
        if (answer) {
          ++answered;
          if (answer->explanation->map != expected[(t + i) % 3]) ++wrong;
        } else if (answer.error().code == Errc::busy) {
          ++busy;
        } else {
          ++wrong;
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(answered + busy, 24);
  EXPECT_GT(answered, 0);
  EXPECT_EQ(model->busy_sessions(), 0);
}

TEST_F(Answering, ACutPackIsNamedAsWhatChanged) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("dermlens-cut-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  LoadOptions options;
  options.placement = plan::Placement::streamed;
  options.cache_dir = folder.string();
  const auto model = load("residual", options);
  ASSERT_TRUE(model->answer(bytes_of(photo(40, 40)), {}));
  std::filesystem::resize_file(model->pack_path(), 4096);
  for (int i = 0; i < 2; ++i) {  // the one that notices, and those after it
    const auto answer = model->answer(bytes_of(photo(40, 40)), {});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::corrupt);
    EXPECT_NE(answer.error().message.find(model->pack_path()), std::string::npos)
        << answer.error().message;
  }
  std::filesystem::remove_all(folder);
}

TEST_F(Answering, APlanIsMadeWithoutLoading) {
  const auto plans = plan_model(fixture("residual") + "/model.onnx");
  ASSERT_TRUE(plans) << plans.error().message;
  ASSERT_TRUE(plans->explain);
  EXPECT_GT(plans->explain->backward_steps, 0U);
  EXPECT_EQ(plans->forward.backward_steps, 0U);
  const auto model = load("residual");
  EXPECT_EQ(model->plan().arena, plans->explain->arena);
  EXPECT_EQ(model->plan().weights, plans->explain->weights);
}

}  // namespace
}  // namespace dermlens::diagnose
