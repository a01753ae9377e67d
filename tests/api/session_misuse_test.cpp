#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "resnet_engine/session.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet::test {
namespace {

/// The code of the Error that `call` throws; its text is kept for a second look.
template <class Call>
std::optional<ErrorCode> refusal(Call&& call, std::string* text = nullptr) {
  try {
    call();
  } catch (const Error& error) {
    if (text) *text = error.what();
    return error.code();
  }
  return std::nullopt;
}

class SessionMisuse : public testing::Test {
 protected:
  SessionMisuse() {
    write_tiny_model(folder / "tiny.rne");
    model.emplace(Model::load(folder / "tiny.rne"));
  }
  Session make(SessionOptions options = {}) const {
    options.device = "reference";
    return Session(*model, options);
  }
  ConstTensorView in(std::int64_t n = 1, std::int64_t h = 8, std::int64_t w = 8, std::int64_t c = 3) const {
    return {input.data(), n, h, w, c};
  }
  TensorView out(std::int64_t n = 1, std::int64_t k = 4) { return {output.data(), n, 1, 1, k}; }

  ScratchFolder folder;
  std::optional<Model> model;
  std::vector<float> input = std::vector<float>(4 * 16 * 16 * 3, 0.5f), output = std::vector<float>(64);
};

TEST_F(SessionMisuse, WrongNumberOfChannelsIsNamed) {
  Session session = make();
  std::string text;
  EXPECT_EQ(refusal([&] { session.run(in(1, 8, 8, 4), out()); }, &text), ErrorCode::invalid_argument);
  EXPECT_NE(text.find('3'), std::string::npos) << text;
  EXPECT_NE(text.find('4'), std::string::npos) << text;
}

TEST_F(SessionMisuse, OutputOfTheWrongShapeIsRefused) {
  Session session = make();
  EXPECT_EQ(refusal([&] { session.run(in(), out(1, 5)); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.run(in(2), out(1)); }), ErrorCode::invalid_argument);
}

TEST_F(SessionMisuse, SizesBelowOneAreRefused) {
  Session session = make();
  EXPECT_EQ(refusal([&] { session.run(in(0), out(0)); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.run(in(1, -8, 8), out()); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.prepare(1, 0, 8); }), ErrorCode::invalid_argument);
}

TEST_F(SessionMisuse, SizesBeyondAllMemoryAreRefused) {
  Session session = make();
  const auto code = refusal([&] { session.prepare(std::int64_t{1} << 40, 1 << 20, 1 << 20); });
  EXPECT_TRUE(code == ErrorCode::overflow || code == ErrorCode::limit_exceeded || code == ErrorCode::out_of_memory);
  EXPECT_NO_THROW(session.run(in(), out())) << "the session must survive";
}

TEST_F(SessionMisuse, NullPointersAreRefused) {
  Session session = make();
  EXPECT_EQ(refusal([&] { session.run({nullptr, 1, 8, 8, 3}, out()); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.run(in(), {nullptr, 1, 1, 1, 4}); }), ErrorCode::invalid_argument);
}

TEST_F(SessionMisuse, OtherElementTypesAreRefused) {
  Session session = make();
  for (const DType dtype : {DType::f16, DType::bf16, DType::i8, DType::i32, DType::i64, DType::f64}) {
    auto view = in();
    view.dtype = dtype;
    EXPECT_EQ(refusal([&] { session.run(view, out()); }), ErrorCode::invalid_argument);
  }
  auto view = out();
  view.dtype = DType::u8;
  EXPECT_EQ(refusal([&] { session.run(in(), view); }), ErrorCode::invalid_argument);
}

TEST_F(SessionMisuse, DeviceMemoryIsRefusedByAHostDevice) {
  Session session = make();
  auto view = in();
  view.memory = MemoryKind::device;
  EXPECT_EQ(refusal([&] { session.run(view, out()); }), ErrorCode::invalid_argument);
}

TEST_F(SessionMisuse, AMovedFromSessionAnswersWithAnError) {
  Session session = make();
  Session other = std::move(session);
  EXPECT_NO_THROW(other.run(in(), out()));
  // NOLINTBEGIN(bugprone-use-after-move): that is the point
  EXPECT_EQ(refusal([&] { session.run(in(), out()); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.prepare(1, 8, 8); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.describe_json(); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.profile(1); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.retained("conv"); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.retained_names(); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.device(); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.device_reason(); }), ErrorCode::invalid_argument);
  session = std::move(other);
  EXPECT_NO_THROW(session.run(in(), out()));
  // NOLINTEND(bugprone-use-after-move)
}

TEST_F(SessionMisuse, ASessionOutlivesItsModel) {
  Session session = make();
  model.reset();
  EXPECT_NO_THROW(session.run(in(), out()));
}

TEST_F(SessionMisuse, OptionsOutOfRangeAreRefused) {
  EXPECT_EQ(refusal([&] { make({.threads = -1}); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { make({.max_plans = 0}); }), ErrorCode::invalid_argument);
  std::string text;
  EXPECT_EQ(refusal([&] { Session(*model, {.device = "gpu"}); }, &text), ErrorCode::invalid_argument);
  EXPECT_NE(text.find("reference"), std::string::npos) << "the names that exist: " << text;
}

TEST_F(SessionMisuse, ADeviceThatIsNotThereIsNoReasonToTakeAnother) {
  std::string text;
  const auto code = refusal([&] { Session(*model, {.device = "cuda:63"}); }, &text);
  EXPECT_TRUE(code == ErrorCode::device_unavailable || code == ErrorCode::invalid_argument) << text;
}

TEST_F(SessionMisuse, AnUnknownLayerIsAnsweredWithTheNearest) {
  std::string text;
  EXPECT_EQ(refusal([&] { make({.retain = Retain::names, .retain_names = {"pol"}}); }, &text),
            ErrorCode::invalid_argument);
  EXPECT_NE(text.find("\"pool\""), std::string::npos) << text;
  EXPECT_EQ(refusal([&] { make({.layer_precision = {{"none", Precision::fp32}}}); }), ErrorCode::invalid_argument);
}

TEST_F(SessionMisuse, RetainedValuesNeedARunAndAWish) {
  Session without = make();
  without.run(in(), out());
  EXPECT_EQ(refusal([&] { without.retained("conv"); }), ErrorCode::invalid_argument);
  Session with = make({.retain = Retain::names, .retain_names = {"pool"}});
  EXPECT_EQ(refusal([&] { with.retained("pool"); }), ErrorCode::invalid_argument);
  with.run(in(), out());
  EXPECT_EQ(with.retained("pool").c, 3);
  std::string text;
  EXPECT_EQ(refusal([&] { with.retained("poo"); }, &text), ErrorCode::invalid_argument);
  EXPECT_NE(text.find("\"pool\""), std::string::npos) << text;
}

TEST_F(SessionMisuse, AProfileOverwritesWhatWasRetained) {
  Session session = make({.retain = Retain::names, .retain_names = {"pool"}});
  session.run(in(), out());
  EXPECT_EQ(session.retained("pool").c, 3);
  session.profile(1);
  EXPECT_EQ(refusal([&] { session.retained("pool"); }), ErrorCode::invalid_argument);
  session.run(in(), out());
  EXPECT_EQ(session.retained("pool").c, 3);
}

TEST_F(SessionMisuse, AProfileNeedsAtLeastOneIteration) {
  Session session = make();
  EXPECT_EQ(refusal([&] { session.profile(0); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { session.profile(-5); }), ErrorCode::invalid_argument);
}

TEST_F(SessionMisuse, AnErrorLeavesTheSessionUsable) {
  Session session = make();
  session.run(in(), out());
  const std::vector<float> before = output;
  EXPECT_TRUE(refusal([&] { session.run(in(1, 8, 8, 1), out()); }));
  EXPECT_TRUE(refusal([&] { session.run(in(2), out(1)); }));
  output.assign(output.size(), 0);
  session.run(in(), out());
  EXPECT_EQ(output, before);
}

TEST_F(SessionMisuse, TopKRefusesNothingToChooseFrom) {
  EXPECT_EQ(refusal([&] { top_k(*model, output, 0); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal([&] { top_k(*model, {}, 5); }), ErrorCode::invalid_argument);
  EXPECT_EQ(top_k(*model, std::vector<float>{1, 3, 3, 2}, 100).size(), 4u);
  EXPECT_EQ(top_k(*model, std::vector<float>{1, 3, 3, 2}, 1).at(0).index, 1) << "ties go to the lower index";
}

}  // namespace
}  // namespace resnet::test
