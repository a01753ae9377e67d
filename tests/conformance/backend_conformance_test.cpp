// What every backend owes: each op of the table, whole random networks, input conversions, bit-equal repetition. A new
// op or backend is tested here without an edit; a new op only has to get its cases.

#include <gtest/gtest.h>

#include <cstring>
#include <ostream>
#include <set>

#include "backends/backend.hpp"
#include "base/dtype.hpp"
#include "conformance/op_cases.hpp"
#include "support/interpreter.hpp"
#include "support/plan_runner.hpp"

namespace resnet::test {
namespace {

struct Subject {
  std::string name;
  Precision precision;
};

/// Every device of this build in every precision that it computes here.
std::vector<Subject> subjects() {
  std::vector<Subject> list;
  for (const BackendEntry& entry : backend_list()) {
    if (!entry.available(0)) continue;
    const auto backend = entry.create(0);
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::fp16, Precision::bf16}) {
      if (backend->supports_precision(precision)) list.push_back({std::string(entry.name), precision});
    }
  }
  return list;
}

/// The bound of each precision on the relative L2 error. Inputs and weights are rounded once per layer in 16 bit.
double bound(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return 1e-5;
    case Precision::tf32:
    case Precision::fp16:
      return 5e-3;
    default:
      return 4e-2;
  }
}

std::string text(const Subject& subject) { return subject.name + '_' + std::string(to_string(subject.precision)); }

void PrintTo(const Subject& subject, std::ostream* out) { *out << text(subject); }

class Conformance : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    for (const BackendEntry& entry : backend_list()) {
      if (entry.name == GetParam().name) backend_ = entry.create(0);
    }
    ASSERT_TRUE(backend_);
    options_.precision = GetParam().precision;
  }

  void expect_right(const RandomNetwork& network, std::int64_t batch, const std::string& what) {
    const Graph graph = network.build();
    const Dims input{batch, network.input.h, network.input.w, network.input.c};
    const auto values = real_input(input);
    PlanRunner runner(optimise(graph, {}), input, *backend_, options_, network.weights);
    const double error = relative_error(runner.run(values), interpret_output(graph, network.weights, input, values));
    EXPECT_LE(error, bound(options_.precision)) << what << "\n" << describe_plan_json(runner.plan());
  }

  /// Values in [-2, 2] that 16-bit types hold exactly, no two neighbours alike.
  static std::vector<float> real_input(const Dims& dims) {
    std::vector<float> values(static_cast<std::size_t>(dims.elements()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 65) / 16 - 2;
    return values;
  }

  std::shared_ptr<Backend> backend_;
  PlanOptions options_;
};

TEST_P(Conformance, ComputesEveryOp) {
  for (const OpCase& op_case : op_cases()) {
    for (const std::int64_t batch : {1, 3}) expect_right(op_case.network, batch, op_case.name);
  }
}

TEST_P(Conformance, ComputesRandomNetworks) {
  if (GetParam().precision != Precision::fp32) GTEST_SKIP() << "errors of 16-bit layers add up without a bound";
  for (std::uint64_t seed = 0; seed < 25; ++seed) {
    expect_right(random_network(seed, {.exact = false}), 2, "random network " + std::to_string(seed));
  }
}

TEST_P(Conformance, RepeatsItselfBitForBit) {
  for (std::uint64_t seed = 100; seed < 105; ++seed) {
    const RandomNetwork network = random_network(seed, {.exact = false});
    const Dims input{2, network.input.h, network.input.w, network.input.c};
    PlanRunner runner(optimise(network.build(), {}), input, *backend_, options_, network.weights);
    const auto values = real_input(input);
    const auto first = runner.run(values), second = runner.run(values);
    EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0) << "random network " << seed;
  }
}

TEST_P(Conformance, RetainsEveryStepOfAResidualNetwork) {
  if (GetParam().precision != Precision::fp32) GTEST_SKIP() << "values are kept in 16 bit";
  options_.retain_steps = true;
  const RandomNetwork network = random_network(3, {.exact = false});
  const Dims input{1, network.input.h, network.input.w, network.input.c};
  const auto values = real_input(input);
  const Graph graph = optimise(network.build(), {});
  PlanRunner runner(graph, input, *backend_, options_, network.weights);
  runner.run(values);
  const Values exact = interpret(graph, network.weights, input, values);  // passes name the values that they add
  EXPECT_FALSE(runner.plan().retained.empty());
  for (const auto& [name, place] : runner.plan().retained) {
    ASSERT_TRUE(exact.contains(name)) << name << " is the name of no value";
    EXPECT_LE(relative_error(runner.retained(name), exact.at(name)), 1e-5) << name;
  }
}

/// The conversion that sessions load their input with.
TEST_P(Conformance, LoadsInputsOfBothTypesAndLayouts) {
  const Dims dims{2, 3, 5, 3};
  ValueDesc plain;
  plain.dims = dims;
  const Implementation* conversion = backend_->conversion();
  ASSERT_NE(conversion, nullptr);
  for (const DType dtype : {DType::f32, DType::u8}) {
    for (const LayoutId layout : {LayoutId::nhwc, LayoutId::nchw}) {
      StepProblem problem;
      ValueDesc from = plain;
      from.dtype = dtype;
      from.layout = layout;
      problem.input_descs = {from};
      problem.output_descs = {plain};
      ASSERT_TRUE(conversion->supports(problem, backend_->device())) << to_string(from);
      const auto step = conversion->prepare(problem, backend_->device());

      AlignedBuffer source(from.bytes()), target(plain.bytes());
      std::int64_t i = 0;
      for (std::int64_t n = 0; n < dims.n; ++n) {
        for (std::int64_t h = 0; h < dims.h; ++h) {
          for (std::int64_t w = 0; w < dims.w; ++w) {
            for (std::int64_t c = 0; c < dims.c; ++c, ++i) {
              const std::int64_t place = layout == LayoutId::nhwc ? i : ((n * dims.c + c) * dims.h + h) * dims.w + w;
              if (dtype == DType::u8) {
                reinterpret_cast<std::uint8_t*>(source.data())[place] = static_cast<std::uint8_t>(i * 3);
              } else {
                reinterpret_cast<float*>(source.data())[place] = static_cast<float>(i * 3);
              }
            }
          }
        }
      }
      DeviceAllocator& memory = backend_->allocator();
      const auto in = memory.allocate(from.bytes()), out = memory.allocate(plain.bytes()),
                 workspace = memory.allocate(step->workspace_bytes());
      std::byte *const in_data = in->data(), *const out_data = out->data();
      step->bind({{&in_data, 1}, {&out_data, 1}, {}, workspace->data()});
      backend_->begin_run(1, nullptr);
      backend_->copy_to_device(in_data, source.data(), from.bytes());
      step->run();
      backend_->copy_to_host(target.data(), out_data, plain.bytes());
      backend_->end_run();
      for (std::int64_t k = 0; k < dims.elements(); ++k) {
        const auto expected =
            dtype == DType::u8 ? static_cast<float>(static_cast<std::uint8_t>(k * 3)) : static_cast<float>(k * 3);
        ASSERT_EQ(reinterpret_cast<const float*>(target.data())[k], expected) << to_string(from) << ", value " << k;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Device, Conformance, testing::ValuesIn(subjects()),
                         [](const auto& subject) { return text(subject.param); });

TEST(OpCases, CoverEveryOpThatAFileMayHold) {
  std::set<std::string_view> covered{"input"};
  for (const OpCase& op_case : op_cases()) covered.insert(op_case.op);
  for (const OpDef* op : op_table()) {
    if (op->internal) continue;
    EXPECT_TRUE(covered.contains(op->name)) << "add cases for " << op->name << " to op_cases.cpp";
  }
}

TEST(BackendList, SaysWhyCudaIsAbsentFromABuildWithoutIt) {
  for (const BackendEntry& entry : backend_list()) {
    if (entry.name != "cuda" || entry.available(0)) continue;
    EXPECT_FALSE(entry.available(0).reason.empty());
    EXPECT_THROW(entry.create(0), Error);
    return;
  }
  GTEST_SKIP() << "CUDA works here";
}

TEST(BackendList, EndsWithTheReferenceWhichIsAlwaysThere) {
  EXPECT_EQ(backend_list().back().name, "reference");
  EXPECT_TRUE(backend_list().back().available(0));
  EXPECT_EQ(backend_list().back().create(0)->name(), "reference");
}

}  // namespace
}  // namespace resnet::test
