// Whole networks through cuDNN and cuBLASLt on this machine's GPU, against the reference loops: what planning without a
// device cannot show. Skipped by name where there is no GPU or no library.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "backends/cuda/cuda_backend.hpp"
#include "backends/cuda/libraries.hpp"
#include "base/json.hpp"
#include "resnet_engine/session.hpp"
#include "support/random_model.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"

namespace resnet::cuda {
namespace {

struct Case {
  const char* network;
  const char* convolution;  ///< implementation
  Precision precision;
  double bound;  ///< of the relative L2 distance of the scores
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.network << ' ' << one.convolution; }

class LibraryRun : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (const Support gpu = cuda_backend_available(0); !gpu) GTEST_SKIP() << gpu.reason;
    if (!cudnn_library()) GTEST_SKIP() << cudnn_library().missing;
    if (!cublaslt_library()) GTEST_SKIP() << cublaslt_library().missing;
    if (GetParam().convolution == std::string("cudnn_exact") && !cudnn_library().no_compiler.empty())
      GTEST_SKIP() << cudnn_library().no_compiler;
  }

  static std::vector<float> scores(Session& session, std::int64_t n) {
    const auto x = test::random_values(static_cast<std::size_t>(n * size * size * 3), 7);
    std::vector<float> y(static_cast<std::size_t>(n) * 10, std::nanf(""));
    session.run({x.data(), n, size, size, 3}, {y.data(), n, 1, 1, 10});
    return y;
  }
  static constexpr std::int64_t size = 64;
};

TEST_P(LibraryRun, AgreesWithTheReferenceAndWithItself) {
  const test::ScratchFolder folder;
  const std::string path = folder / "model.rne";
  test::write_bytes(path, test::random_model(test::torchvision_resnet(GetParam().network, size, 10), 1));
  const Model model = Model::load(path);
  SessionOptions options;
  options.device = "reference";
  Session reference(model, options);
  options.device = "cuda", options.precision = GetParam().precision;
  options.force_implementations = {GetParam().convolution, "cublaslt"};
  Session session(model, options);
  for (const std::int64_t n : {1, 3}) {
    const auto exact = scores(reference, n), first = scores(session, n);
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      difference += std::pow(static_cast<double>(first[i]) - exact[i], 2);
      norm += std::pow(static_cast<double>(exact[i]), 2);
    }
    EXPECT_LT(std::sqrt(difference / norm), GetParam().bound) << n << " images";
    EXPECT_EQ(scores(session, n), first) << "the replay differs from the first run";
    const Json plan = parse_json(session.describe_json(), "describe_json()");
    std::set<std::string> used;
    for (const Json& step : plan.at("steps").as_array()) used.insert(step.at("implementation").as_string());
    for (const char* name : {GetParam().convolution, "cublaslt"})
      EXPECT_TRUE(used.contains(name)) << "no layer went through " << name;
  }
}

// The bounds of our own kernels' sessions (tests/unit/runtime/cuda_session_test.cpp), and for folded 16-bit weights
// twice theirs: they are rounded once more.
INSTANTIATE_TEST_SUITE_P(Networks, LibraryRun,
                         testing::Values(Case{"resnet18", "cudnn", Precision::fp32, 1e-5},
                                         Case{"resnet18", "cudnn", Precision::tf32, 5e-3},
                                         Case{"resnet50", "cudnn", Precision::fp16, 1e-2},
                                         Case{"resnet18", "cudnn", Precision::bf16, 8e-2},
                                         Case{"resnext50_32x4d", "cudnn", Precision::fp16, 1e-2},
                                         Case{"resnet18", "cudnn_exact", Precision::fp32, 1e-5},
                                         Case{"resnet18", "cudnn_exact", Precision::fp16, 5e-3}));

}  // namespace
}  // namespace resnet::cuda
