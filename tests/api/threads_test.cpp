#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "resnet_engine/session.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet::test {
namespace {

TEST(Threads, OneSessionAnswersASecondThreadWithBusy) {
  const ScratchFolder folder;
  write_tiny_model(folder / "tiny.rne");
  const Model model = Model::load(folder / "tiny.rne");
  Session session(model, {.device = "reference", .threads = 1});
  const std::vector<float> input(200 * 200 * 3, 0.5f);
  session.prepare(1, 200, 200);

  std::atomic<int> busy{0}, other{0};
  std::atomic<bool> done{false};
  const auto user = [&] {
    std::vector<float> output(4);
    for (int i = 0; i < 2000 && !done; ++i) {
      try {
        session.run({input.data(), 1, 200, 200, 3}, {output.data(), 1, 1, 1, 4});
      } catch (const Error& error) {
        ++(error.code() == ErrorCode::busy ? busy : other);
        done = true;
      }
    }
  };
  { const std::jthread first(user), second(user); }
  EXPECT_GE(busy, 1) << "two threads ran one session for long and nobody was told";
  EXPECT_EQ(other, 0);
  std::vector<float> output(4);
  EXPECT_NO_THROW(session.run({input.data(), 1, 200, 200, 3}, {output.data(), 1, 1, 1, 4})) << "usable afterwards";
}

TEST(Threads, ShareAModelWithASessionEach) {
  const ScratchFolder folder;
  write_tiny_model(folder / "tiny.rne");
  const Model model = Model::load(folder / "tiny.rne");
  std::vector<std::vector<float>> outputs(4, std::vector<float>(4));
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < outputs.size(); ++t) {
      threads.emplace_back([&, t] {
        Session session(model, {.threads = 1});
        const std::vector<float> input(8 * 8 * 3, 0.25f);
        for (int i = 0; i < 50; ++i) session.run({input.data(), 1, 8, 8, 3}, {outputs[t].data(), 1, 1, 1, 4});
      });
    }
  }
  EXPECT_NEAR(outputs[0][0], 2, 1e-5);
  for (const auto& output : outputs) EXPECT_EQ(output, outputs[0]);
}

}  // namespace
}  // namespace resnet::test
