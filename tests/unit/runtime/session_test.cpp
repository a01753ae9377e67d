#include "resnet_engine/session.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "base/json.hpp"
#include "base/log.hpp"
#include "model/model_file.hpp"
#include "support/error_of.hpp"
#include "support/random_model.hpp"
#include "support/relative_l2.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"

namespace resnet {
namespace {

using test::error_of, test::random_values, test::relative_l2;

/// A ResNet-18 for small pictures, shared by the tests of this file.
class SessionTest : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    directory = new test::ScratchFolder;
    test::write_bytes(*directory / "net.rne", test::random_model(test::torchvision_resnet("resnet18", 64, 10), 1));
  }
  static void TearDownTestSuite() { delete directory; }

  static Model load() { return Model::load(*directory / "net.rne"); }
  static SessionOptions on(const std::string& device) {
    SessionOptions options;
    options.device = device;
    return options;
  }
  static std::vector<float> run(Session& session, const std::vector<float>& x, std::int64_t n, std::int64_t h,
                                std::int64_t w, Layout layout = Layout::nhwc) {
    std::vector<float> y(static_cast<std::size_t>(n) * 10, std::nanf(""));
    session.run({x.data(), n, h, w, 3, DType::f32, layout}, {y.data(), n, 1, 1, 10});
    return y;
  }
  static inline test::ScratchFolder* directory = nullptr;
};

TEST_F(SessionTest, CpuAgreesWithTheReferenceBackend) {
  const Model model = load();
  Session cpu(model, on("cpu")), reference(model, on("reference"));
  for (const auto& [h, w] : {std::pair{64, 64}, std::pair{33, 47}}) {
    const auto x = random_values(static_cast<std::size_t>(2 * h * w * 3), 7);
    EXPECT_LT(relative_l2(run(cpu, x, 2, h, w), run(reference, x, 2, h, w)), 1e-5) << h << 'x' << w;
  }
}

TEST_F(SessionTest, GivesTheSameBitsForTheSameInput) {
  const Model model = load();
  Session first(model, on("cpu")), second(model, on("cpu"));
  const auto x = random_values(2 * 64 * 64 * 3, 3);
  const auto expected = run(first, x, 2, 64, 64);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(run(first, x, 2, 64, 64), expected);
    EXPECT_EQ(run(second, x, 2, 64, 64), expected);
  }
}

TEST_F(SessionTest, TakesChannelsFirstAndBytes) {
  Session session(load(), on("cpu"));
  std::vector<std::uint8_t> pixels(64 * 64 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7919 % 251);
  std::vector<float> nhwc(pixels.begin(), pixels.end()), nchw(pixels.size());
  for (std::size_t p = 0; p < 64 * 64; ++p) {
    for (std::size_t c = 0; c < 3; ++c) nchw[c * 64 * 64 + p] = nhwc[p * 3 + c];
  }
  const auto expected = run(session, nhwc, 1, 64, 64);
  EXPECT_EQ(run(session, nchw, 1, 64, 64, Layout::nchw), expected);
  std::vector<float> y(10);
  session.run({pixels.data(), 1, 64, 64, 3, DType::u8}, {y.data(), 1, 1, 1, 10});
  EXPECT_EQ(y, expected);
}

TEST_F(SessionTest, RunsSizesInAnyOrderWithinItsPlanLimit) {
  SessionOptions options = on("cpu");
  options.max_plans = 2;
  Session session(load(), options), fresh(load(), on("cpu"));
  for (const std::int64_t n : {1, 4, 2, 1, 3, 4}) {  // more sizes than plans: some are made again, the arena grows
    const auto x = random_values(static_cast<std::size_t>(n) * 48 * 48 * 3, 5);
    EXPECT_EQ(run(session, x, n, 48, 48), run(fresh, x, n, 48, 48)) << "n=" << n;
  }
}

TEST_F(SessionTest, ASecondSessionPacksNothing) {
  const Model model = load();
  Session first(model, on("cpu"));
  first.prepare(1, 64, 64);
  const auto packs = [](const Session& session) {
    return parse_json(session.describe_json(), "describe").at("memory").at("weight_packs").as_int();
  };
  const auto before = packs(first);
  EXPECT_GT(before, 0);
  Session second(model, on("cpu"));
  second.prepare(1, 64, 64);
  EXPECT_EQ(packs(second), before);
}

TEST_F(SessionTest, AnswersASecondThreadWithBusy) {
  Session session(load(), on("reference"));
  const auto x = random_values(8 * 64 * 64 * 3, 1);
  session.prepare(8, 64, 64);
  // Both threads knock until one of them finds the other inside; either may be the one that is turned away.
  std::atomic<bool> found{false};
  const auto knock = [&] {
    for (int i = 0; i < 1000 && !found; ++i) {
      try {
        run(session, x, 8, 64, 64);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::busy);
        found = true;
      }
    }
  };
  std::thread other(knock);
  knock();
  other.join();
  EXPECT_TRUE(found) << "the session was never found in use";
  EXPECT_NO_THROW(run(session, x, 8, 64, 64));
}

TEST_F(SessionTest, RetainStepsKeepsEveryStepUnderItsLastLayer) {
  SessionOptions options = on("cpu");
  options.retain = Retain::steps;
  const Model model = load();
  Session kept(model, options), plain(model, on("cpu"));
  const auto x = random_values(64 * 64 * 3, 2);
  // Kept residuals are added as operands and not in place: other kernels, other rounding.
  EXPECT_LT(relative_l2(run(kept, x, 1, 64, 64), run(plain, x, 1, 64, 64)), 1e-6);
  EXPECT_GT(kept.retained_names().size(), 20u);
  const ConstTensorView value = kept.retained("layer1.0.relu_1");
  EXPECT_EQ(value.h, 16);
  EXPECT_EQ(value.c, 64);
  const auto* data = static_cast<const float*>(value.data);
  for (std::int64_t i = 0; i < value.elements(); ++i) ASSERT_GE(data[i], 0.0f);
  const Error fused = error_of([&] { kept.retained("layer1.0.bn1"); });
  EXPECT_NE(std::string(fused.what()).find("layer1.0.relu"), std::string::npos) << fused.what();
}

TEST_F(SessionTest, RetainNamesStopsFusionThere) {
  SessionOptions options = on("cpu"), reference = on("reference");
  options.retain = reference.retain = Retain::names;
  options.retain_names = reference.retain_names = {"layer2.0.bn1", "layer3.1.conv2"};
  const Model model = load();
  Session a(model, options), b(model, reference);
  const auto x = random_values(64 * 64 * 3, 2);
  run(a, x, 1, 64, 64);
  run(b, x, 1, 64, 64);
  for (const auto& name : options.retain_names) {
    const ConstTensorView u = a.retained(name), v = b.retained(name);
    ASSERT_EQ(u.elements(), v.elements());
    const auto *p = static_cast<const float*>(u.data), *q = static_cast<const float*>(v.data);
    EXPECT_LT(relative_l2({p, p + u.elements()}, {q, q + v.elements()}), 1e-5) << name;
  }
  options.retain_names = {"layer2.0.bm1"};
  const Error unknown = error_of([&] { Session session(model, options); });
  EXPECT_NE(std::string(unknown.what()).find("layer2.0.bn1"), std::string::npos) << unknown.what();
}

TEST_F(SessionTest, SaysWhenSessionsOversubscribeTheCores) {
  const Model model = load();
  std::atomic<int> warnings{0};
  set_log_sink([&](LogLevel level, std::string_view text) {
    if (level == LogLevel::warning && text.find("threads on") != std::string_view::npos) ++warnings;
  });
  SessionOptions options = on("cpu");
  options.threads = 64;
  const auto work = [&] {
    Session session(model, options);
    const auto x = random_values(64 * 64 * 3, 2);
    for (int i = 0; i < 50 && warnings == 0; ++i) run(session, x, 1, 64, 64);
  };
  std::thread other(work);
  work();
  other.join();
  set_log_sink({});
  EXPECT_GT(warnings, 0);
}

TEST_F(SessionTest, RefusesWhatItCannotDoAndStaysUsable) {
  const Model model = load();
  Session session(model, on("cpu"));
  const auto x = random_values(64 * 64 * 3, 2);
  const auto expected = run(session, x, 1, 64, 64);
  std::vector<float> y(10);
  const auto code = [&](const ConstTensorView& in, const TensorView& out) {
    return error_of([&] { session.run(in, out); }).code();
  };
  const TensorView good{y.data(), 1, 1, 1, 10};
  EXPECT_EQ(code({nullptr, 1, 64, 64, 3}, good), ErrorCode::invalid_argument);
  EXPECT_EQ(code({x.data(), 1, 64, 64, 4}, good), ErrorCode::invalid_argument);
  EXPECT_EQ(code({x.data(), 0, 64, 64, 3}, good), ErrorCode::invalid_argument);
  EXPECT_EQ(code({x.data(), 1, 64, 64, 3, DType::f64}, good), ErrorCode::invalid_argument);
  EXPECT_EQ(code({x.data(), 1, 64, 64, 3, DType::f32, Layout::nhwc, MemoryKind::device}, good),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code({x.data(), 1, 64, 64, 3}, {y.data(), 1, 1, 1, 9}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({x.data(), 1, 64, 64, 3}, {y.data(), 1, 1, 1, 10, DType::f16}), ErrorCode::invalid_argument);
  EXPECT_EQ(run(session, x, 1, 64, 64), expected);
}

TEST_F(SessionTest, RefusesUnknownDevicesAndPrecisions) {
  const Model model = load();
  const auto code = [&](const SessionOptions& options) {
    return error_of([&] { Session session(model, options); }).code();
  };
  EXPECT_EQ(code(on("gpu")), ErrorCode::invalid_argument);
  EXPECT_EQ(code(on("cuda:x")), ErrorCode::invalid_argument);
  EXPECT_EQ(code(on("cpu:1")), ErrorCode::invalid_argument);
  SessionOptions options = on("reference");
  options.precision = Precision::fp8;
  EXPECT_EQ(code(options), ErrorCode::unsupported);
  options = on("cpu");
  options.threads = -1;
  EXPECT_EQ(code(options), ErrorCode::invalid_argument);
}

TEST_F(SessionTest, AutoSaysWhyItTookADevice) {
  Session session(load());
  EXPECT_NE(session.device_reason().find("using " + session.device()), std::string::npos) << session.device_reason();
  Session moved(std::move(session));
  EXPECT_EQ(error_of([&] { session.prepare(1, 64, 64); }).code(), ErrorCode::invalid_argument);
  moved.prepare(1, 64, 64);
}

TEST_F(SessionTest, ProfileNamesEveryStep) {
  Session session(load(), on("cpu"));
  session.prepare(1, 64, 64);
  const Json profile = parse_json(session.profile(3), "profile");
  const Json described = parse_json(session.describe_json(), "describe");
  EXPECT_EQ(profile.at("steps").as_array().size(), described.at("steps").as_array().size());
  std::int64_t macs = 0;
  for (const Json& step : profile.at("steps").as_array()) macs += step.at("macs").as_int();
  EXPECT_EQ(macs, parse_json(load().describe_json(), "model").at("macs").as_int());
}

}  // namespace
}  // namespace resnet
