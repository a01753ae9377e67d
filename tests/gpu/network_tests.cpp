// Whole networks through the C interface: on a GPU where one is, on the emulator in every test run. Outputs are
// compared with the reference device's, computed here, with weights from a seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "gpu/network_run.hpp"
#include "support/random_model.hpp"
#include "support/relative_l2.hpp"
#include "support/write_bytes.hpp"

namespace resnet::test {
namespace {

struct Bound {
  const char* precision;
  double relative_l2;
};
/// Half-precision values are rounded some fifty times on their way.
constexpr Bound bounds[] = {{"fp32", 1e-5}, {"tf32", 1e-2}, {"fp16", 1e-2}, {"bf16", 5e-2}};

/// Whether a step of the session's plan is one of cuDNN's or cuBLASLt's.
bool uses_a_library(const SessionHandle& session) {
  const Json plan = parse_json(rne_session_describe(session.get()), "plan");
  return std::ranges::any_of(plan.at("steps").as_array(), [](const Json& step) {
    const std::string& name = step.at("implementation").as_string();
    return name.starts_with("cudnn") || name.starts_with("cublaslt");
  });
}

class Networks : public testing::TestWithParam<std::string> {};

TEST_P(Networks, AgreeWithTheReferenceInEveryPrecision) {
  const ModelHandle model = load(model_file(GetParam()));
  constexpr std::int64_t batch = 2;
  const auto x = pictures(batch, 7);
  const auto exact = run(open(model, "reference", "fp32"), x, batch);
  for (const auto& [precision, bound] : bounds) {
    const SessionHandle session = open(model, "cuda", precision);
    const auto first = run(session, x, batch);
    const double error = relative_l2(first, exact);
    EXPECT_LT(error, bound) << precision;
    EXPECT_EQ(run(session, x, batch), first) << precision << ": the replay differs from the first run";
    std::printf("%s %s: relative L2 %.2g\n", GetParam().c_str(), precision, error);
  }
}

// cuDNN and cuBLASLt wherever they can.
TEST_P(Networks, AgreeWithTheReferenceThroughLibraries) {
  const ModelHandle model = load(model_file(GetParam()));
  constexpr std::int64_t batch = 2;
  const auto x = pictures(batch, 7);
  std::vector<float> exact;
  for (const auto& [precision, bound] : bounds) {
    const SessionHandle session = open(model, "cuda", precision, false, "cudnn,cublaslt");
    ASSERT_TRUE(session) << precision;
    const auto y = run(session, x, batch);
    if (!uses_a_library(session)) continue;
    if (exact.empty()) exact = run(open(model, "reference", "fp32"), x, batch);
    const double error = relative_l2(y, exact);
    EXPECT_LT(error, bound) << precision;
    std::printf("%s %s, libraries: relative L2 %.2g\n", GetParam().c_str(), precision, error);
  }
  if (exact.empty()) GTEST_SKIP() << "neither cuDNN nor cuBLASLt computes a step";
}

TEST_P(Networks, GiveAnImageTheSameBitsInEveryBatchWhenDeterministic) {
  const ModelHandle model = load(model_file(GetParam()));
  const SessionHandle session = open(model, "cuda", "bf16", true);
  const auto x = pictures(1, 7);
  const auto alone = run(session, x, 1);
  constexpr std::int64_t n = 7;
  auto batch = pictures(n, 11);
  for (const std::int64_t place : {0, 3, 6}) {
    std::copy(x.begin(), x.end(), batch.begin() + place * static_cast<std::int64_t>(x.size()));
    const auto y = run(session, batch, n);
    EXPECT_EQ(std::vector<float>(y.begin() + place * test_classes, y.begin() + (place + 1) * test_classes), alone)
        << place;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeded, Networks, testing::ValuesIn(options().networks),
                         [](const auto& name) { return name.param; });

constexpr const char* help = R"(Usage: network_tests_gpu [OPTION...] [--gtest_...]

Runs whole networks with seeded weights on CUDA device 0 and compares them with the reference device.

  --size N              input size (224)
  --networks A,B        of resnet18 ... resnext101_64x4d, wide_resnet50_2, seresnetXX, resnetv2_XX
  --threads N           sessions at once in the fault tests (20)
  --write-models DIR    only write NAME.rne with 1000 classes for each network there

Exit status: 0 passed, 1 a test or a file failed, 2 usage, 77 no GPU that this build can use.
)";

/// False for an option that does not exist or a number below 1. GoogleTest's are left to it.
bool parse(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option.starts_with("--gtest_")) continue;
    if (++i == argc) return false;
    const std::string value = argv[i];
    if (option == "--size") {
      options().size = std::stoll(value);
    } else if (option == "--threads") {
      options().threads = std::stoi(value);
    } else if (option == "--write-models") {
      options().write_models = value;
    } else if (option == "--networks") {
      std::istringstream names(value);
      options().networks.clear();
      for (std::string name; std::getline(names, name, ',');) options().networks.push_back(name);
    } else {
      return false;
    }
  }
  return options().size >= 1 && options().threads >= 1;
}

/// Whether a session on a GPU can be made; says why not.
bool gpu_works() {
  const ModelHandle model = load(model_file("resnet18"));
  rne_session* session = nullptr;
  if (rne_session_create(model.get(), "cuda", "fp32", 0, &session) != RNE_OK) {
    std::printf("skipped: %s\n", rne_last_error());
    return false;
  }
  rne_session_free(session);
  return true;
}

}  // namespace
}  // namespace resnet::test

int main(int argc, char** argv) {
  using namespace resnet::test;
  if (argc > 1 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0)) {
    std::fputs(help, stdout);
    return 0;
  }
  try {
    if (!parse(argc, argv)) {
      std::fputs(help, stderr);
      return 2;
    }
    for (const std::string& name : options().networks) network(name, 32, 10);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n%s", error.what(), help);
    return 2;
  }
  try {
    if (!options().write_models.empty()) {
      for (const std::string& name : options().networks) {
        write_bytes(options().write_models + '/' + name + ".rne", random_model(network(name, options().size, 1000), 1));
      }
      return 0;
    }
    testing::InitGoogleTest(&argc, argv);  // makes the list of tests from the options
    return gpu_works() ? RUN_ALL_TESTS() : 77;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
