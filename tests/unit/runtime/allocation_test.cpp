#include <gtest/gtest.h>

#include "model/model_file.hpp"
#include "resnet_engine/session.hpp"
#include "support/allocation_counter.hpp"
#include "support/random_model.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"

namespace resnet {
namespace {

TEST(Allocations, ARunMakesNoneOfOursAndTheLibrarysStaySmallAndConstant) {
  const test::ScratchFolder directory;
  test::write_bytes(directory / "net.rne", test::random_model(test::torchvision_resnet("resnet50", 64, 10), 1));
  SessionOptions options;
  options.device = "cpu";
  Session session(Model::load(directory / "net.rne"), options);
  const auto x = test::random_values(2 * 64 * 64 * 3, 2);
  std::vector<float> y(20);
  const auto run = [&] { session.run({x.data(), 2, 64, 64, 3}, {y.data(), 2, 1, 1, 10}); };
  run();
  test::reset_allocations();
  run();
  const test::Allocations once = test::allocations();
  test::reset_allocations();
  run();
  const test::Allocations again = test::allocations();
  EXPECT_EQ(once.news, 0u) << "Session::run allocated";
  EXPECT_EQ(once.mallocs, again.mallocs) << "the library's allocations differ from run to run";
  EXPECT_LE(once.largest_malloc, 1024u);

  // The counter itself counts.
  test::reset_allocations();
  auto value = std::make_unique<std::array<int, 1000>>();
  asm volatile("" : : "r"(value.get()) : "memory");  // or clang leaves the unused allocation out
  EXPECT_GE(test::allocations().news, 1u) << value->size();
}

}  // namespace
}  // namespace resnet
