// Whole networks through the C interface: on a GPU where one is, on the emulator in every test run. Outputs are compared
// with the reference device's, computed here, with weights from a seed.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "resnet_engine/resnet_engine.h"
#include "support/random_model.hpp"
#include "support/resnet_graphs.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"

namespace resnet {
namespace {

struct Options {
  std::int64_t size = 224;
  std::vector<std::string> networks{"resnet18",   "resnet50",   "resnet152",  "resnext50_32x4d",
                                    "seresnet50", "resnetv2_50", "wide_resnet50_2"};
  std::string write_models;
  int threads = 20;
};
Options& options() {
  static Options own;
  return own;
}

test::NetworkSpec network(const std::string& name, std::int64_t size, std::int64_t classes) {
  if (name.starts_with("seresnet"))
    return test::resnet_relative(test::Relative::squeeze_excite, "resnet" + name.substr(8), size, classes);
  if (name.starts_with("resnetv2_"))
    return test::resnet_relative(test::Relative::pre_activation, "resnet" + name.substr(9), size, classes);
  return test::torchvision_resnet(name, size, classes);
}

template <auto free_it>
struct Free {
  template <class Handle>
  void operator()(Handle* handle) const {
    free_it(handle);
  }
};
using Model = std::unique_ptr<rne_model, Free<rne_model_free>>;
using Session = std::unique_ptr<rne_session, Free<rne_session_free>>;

Model load(const std::string& path) {
  rne_model* model = nullptr;
  EXPECT_EQ(rne_model_load(path.c_str(), &model), RNE_OK) << rne_last_error();
  return Model(model);
}

Session open(const Model& model, const char* device, const char* precision, bool deterministic = false) {
  rne_session_options wanted = {};
  wanted.struct_size = sizeof wanted;
  wanted.device = device, wanted.precision = precision, wanted.deterministic = deterministic ? 1 : 0;
  rne_session* session = nullptr;
  EXPECT_EQ(rne_session_create_with(model.get(), &wanted, &session), RNE_OK) << rne_last_error();
  return Session(session);
}

constexpr std::int64_t classes = 100;

std::vector<float> run(const Session& session, const std::vector<float>& x, std::int64_t n) {
  std::vector<float> y(static_cast<std::size_t>(n * classes), std::nanf(""));
  const std::int64_t size = options().size;
  EXPECT_EQ(rne_session_run(session.get(), x.data(), RNE_FLOAT32, RNE_NHWC, n, size, size, y.data()), RNE_OK)
      << rne_last_error();
  return y;
}

std::vector<float> pictures(std::int64_t n, std::uint64_t seed) {
  return test::random_values(static_cast<std::size_t>(n * options().size * options().size * 3), seed);
}

double relative_l2(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    norm += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(difference / norm);
}

/// A model file per network, made once.
std::string model_file(const std::string& name) {
  static const test::ScratchFolder folder;
  static std::map<std::string, std::string> made;
  std::string& path = made[name];
  if (path.empty()) {
    path = folder / (name + ".rne");
    test::write_bytes(path, test::random_model(network(name, options().size, classes), 1));
  }
  return path;
}

class Networks : public testing::TestWithParam<std::string> {};

TEST_P(Networks, AgreeWithTheReferenceInEveryPrecision) {
  const Model model = load(model_file(GetParam()));
  constexpr std::int64_t batch = 2;
  const auto x = pictures(batch, 7);
  const auto exact = run(open(model, "reference", "fp32"), x, batch);
  // Half-precision values are rounded some fifty times on their way.
  for (const auto& [precision, bound] :
       {std::pair{"fp32", 1e-5}, std::pair{"tf32", 1e-2}, std::pair{"fp16", 1e-2}, std::pair{"bf16", 5e-2}}) {
    const Session session = open(model, "cuda", precision);
    const auto first = run(session, x, batch);
    const double error = relative_l2(first, exact);
    EXPECT_LT(error, bound) << precision;
    EXPECT_EQ(run(session, x, batch), first) << precision << ": the replay differs from the first run";
    std::printf("%s %s: relative L2 %.2g\n", GetParam().c_str(), precision, error);
  }
}

TEST_P(Networks, GiveAnImageTheSameBitsInEveryBatchWhenDeterministic) {
  const Model model = load(model_file(GetParam()));
  const Session session = open(model, "cuda", "bf16", true);
  const auto x = pictures(1, 7);
  const auto alone = run(session, x, 1);
  constexpr std::int64_t n = 7;
  auto batch = pictures(n, 11);
  for (const std::int64_t place : {0, 3, 6}) {
    std::copy(x.begin(), x.end(), batch.begin() + place * static_cast<std::int64_t>(x.size()));
    const auto y = run(session, batch, n);
    EXPECT_EQ(std::vector<float>(y.begin() + place * classes, y.begin() + (place + 1) * classes), alone) << place;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeded, Networks, testing::ValuesIn(options().networks),
                         [](const auto& name) { return name.param; });

class Faults : public testing::Test {
 protected:
  const std::string file_ = model_file("resnet18");
  const Model model_ = load(file_);
};

TEST_F(Faults, NamesADeviceThatIsNotThere) {
  rne_session* session = nullptr;
  EXPECT_NE(rne_session_create(model_.get(), "cuda:99", "fp32", 0, &session), RNE_OK);
  EXPECT_NE(std::strstr(rne_last_error(), "there is no device 99"), nullptr) << rne_last_error();
}

TEST_F(Faults, OutlivesAnInputThatNeedsMoreMemoryThanThereIs) {
  const Session session = open(model_, "cuda", "bf16"), other = open(model_, "cuda", "bf16");
  const auto x = pictures(1, 7);
  const auto expected = run(session, x, 1);
  std::vector<float> y(classes);
  // Planned for 2^22 pictures, refused before a byte of the input is read.
  EXPECT_NE(rne_session_run(session.get(), x.data(), RNE_FLOAT32, RNE_NHWC, std::int64_t{1} << 22, options().size,
                            options().size, y.data()),
            RNE_OK);
  EXPECT_NE(std::strstr(rne_last_error(), "device memory could not be allocated"), nullptr) << rne_last_error();
  EXPECT_EQ(run(session, x, 1), expected);
  EXPECT_EQ(run(other, x, 1), expected);
}

TEST_F(Faults, ServesThreadsWithASessionEach) {
  const auto x = pictures(1, 7);
  const auto expected = run(open(model_, "cuda", "bf16"), x, 1);
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> results(static_cast<std::size_t>(options().threads));
  for (auto& result : results) {
    threads.emplace_back([&] {
      const Session session = open(model_, "cuda", "bf16");
      for (int i = 0; i < 3; ++i) result = run(session, x, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

TEST_F(Faults, RefusesInAForkedProcess) {
  const Session session = open(model_, "cuda", "bf16");
  const auto x = pictures(1, 7);
  const auto expected = run(session, x, 1);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::vector<float> y(classes);
    const std::int64_t size = options().size;
    const rne_status status = rne_session_run(session.get(), x.data(), RNE_FLOAT32, RNE_NHWC, 1, size, size, y.data());
    _exit(status != RNE_OK && std::strstr(rne_last_error(), "forked") != nullptr ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "the child ran, hung up or said something else";
  EXPECT_EQ(run(session, x, 1), expected);
}

constexpr const char* help = R"(Usage: network_tests_gpu [OPTION...] [--gtest_...]

Runs whole networks with seeded weights on CUDA device 0 and compares them with the reference device.

  --size N              input size (224)
  --networks A,B        of resnet18 ... resnext101_64x4d, wide_resnet50_2, seresnetXX, resnetv2_XX
  --threads N           sessions at once in the fault tests (20)
  --write-models DIR    only write NAME.rne with 1000 classes for each network there

Exit status: 0 passed, 1 a test failed, 2 usage, 77 no GPU that this build can use.
)";

/// False for an option that does not exist. GoogleTest's are left to it.
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
  return true;
}

/// Whether a session on a GPU can be made; says why not.
bool gpu_works() {
  const Model model = load(model_file("resnet18"));
  rne_session* session = nullptr;
  if (rne_session_create(model.get(), "cuda", "fp32", 0, &session) != RNE_OK) {
    std::printf("skipped: %s\n", rne_last_error());
    return false;
  }
  rne_session_free(session);
  return true;
}

}  // namespace
}  // namespace resnet

int main(int argc, char** argv) {
  using namespace resnet;
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
  if (!options().write_models.empty()) {
    for (const std::string& name : options().networks) {
      test::write_bytes(options().write_models + '/' + name + ".rne",
                        test::random_model(network(name, options().size, 1000), 1));
    }
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);  // makes the list of tests from the options
  return gpu_works() ? RUN_ALL_TESTS() : 77;
}
