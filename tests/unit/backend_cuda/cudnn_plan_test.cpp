// Every layer of the networks that we ship recipes for, planned by the installed cuDNN for GPUs that are not here.
// Nothing is executed: results and speed are the GPU checks' business.
#include "backends/cuda/cudnn_plan.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "backends/cuda/libraries.hpp"
#include "graph/passes.hpp"
#include "resnet_engine/error.hpp"
#include "support/resnet_graphs.hpp"
#include "unit/backend_cuda/gpu_properties.hpp"

namespace resnet::cuda {
namespace {

using test::GpuProperties;

CudnnDevice device_of(const GpuProperties& gpu) { return {nullptr, test::properties_json(gpu), gpu.sm}; }

std::string text(const ConvProblem& p) {
  return std::to_string(p.N) + 'x' + std::to_string(p.H) + 'x' + std::to_string(p.W) + 'x' + std::to_string(p.C) +
         " -> " + std::to_string(p.K) + ", " + std::to_string(p.R) + 'x' + std::to_string(p.S) + " stride " +
         std::to_string(p.stride_h) + " groups " + std::to_string(p.groups) +
         (p.epilogue.residual ? " + residual " : " ") + std::string(to_string(p.precision));
}

/// Puts the convolutions of a network, as fusion leaves them, behind those that are there; each problem once.
void add_layers(std::vector<ConvProblem>& layers, std::string_view network, std::int64_t n) {
  test::NetworkSpec spec = test::torchvision_resnet(network);
  const Graph graph = optimise(build_graph(spec.layers, spec.output, spec.tensors), {});
  const std::vector<Dims> shapes = infer_shapes(graph, n, 224, 224);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->name != "conv2d") continue;
    const NodeShapes view(graph, id, shapes);
    ConvProblem problem = conv_problem(view.view, shapes[static_cast<std::size_t>(id)]);
    problem.epilogue = epilogue_problem(node);
    if (std::find(layers.begin(), layers.end(), problem) == layers.end()) layers.push_back(problem);
  }
}

/// The 1x1 convolutions that squeeze a block's channels in SE-ResNet-50: with a bias, on one position per image.
void add_squeezes(std::vector<ConvProblem>& layers, std::int64_t n) {
  for (const std::int64_t channels : {256, 512, 1024, 2048}) {
    ConvProblem problem;
    problem.N = n, problem.C = channels, problem.K = channels / 16;
    problem.H = problem.W = problem.P = problem.Q = problem.R = problem.S = 1;
    problem.epilogue.shift = true;
    problem.epilogue.activation.kind = ActivationKind::relu;
    layers.push_back(problem);
  }
}

const std::vector<ConvProblem>& layers() {
  static const std::vector<ConvProblem> all = [] {
    std::vector<ConvProblem> found;
    for (const char* network : {"resnet18", "resnet50", "resnet152", "resnext50_32x4d", "wide_resnet50_2"})
      add_layers(found, network, 8);
    add_layers(found, "resnet50", 1);
    add_squeezes(found, 8);
    return found;
  }();
  return all;
}

ConvProblem in_precision(ConvProblem problem, Precision precision) {
  problem.precision = precision;
  problem.in = problem.out = value_dtype(precision);
  return problem;
}

/// A 3x3 layer with all that an epilogue may have.
ConvProblem one_layer(Precision precision) {
  ConvProblem problem;
  problem.N = 2, problem.H = problem.W = problem.P = problem.Q = 28, problem.C = problem.K = 128;
  problem.R = problem.S = 3;
  problem.pad_top = problem.pad_left = problem.pad_bottom = problem.pad_right = 1;
  problem.epilogue.scale = problem.epilogue.shift = problem.epilogue.residual = true;
  problem.epilogue.activation.kind = ActivationKind::relu;
  return in_precision(problem, precision);
}

/// Engines that are compiled at run time want a driver. Where there is none, the toolkit's stand-in answers that every
/// call fails, which is enough for planning. True when either is in this process.
bool load_driver() {
  static const bool loaded = [] {
    if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) return true;
    for (const char* stub : {"/usr/local/cuda/lib64/stubs/libcuda.so", "/usr/local/cuda/lib/stubs/libcuda.so"})
      if (dlopen(stub, RTLD_NOW | RTLD_LOCAL)) return true;
    return false;
  }();
  return loaded;
}

class CudnnPlan : public testing::TestWithParam<GpuProperties> {
 protected:
  void SetUp() override {
    load_driver();
    if (!cudnn_library()) GTEST_SKIP() << cudnn_library().missing;
  }
};

TEST_P(CudnnPlan, FindsPrecompiledEnginesForEveryLayer) {
  for (const Precision precision : {Precision::fp32, Precision::fp16, Precision::bf16}) {
    if (precision == Precision::bf16 && GetParam().sm < 80) continue;
    for (const ConvProblem& layer : layers()) {
      const ConvProblem problem = in_precision(layer, precision);
      SCOPED_TRACE(text(problem));
      CudnnConv plan(problem, CudnnForm::folded, device_of(GetParam()));
      for (const CudnnChoice& choice : plan.choices()) {
        EXPECT_TRUE(choice.precompiled) << choice.name;
        EXPECT_FALSE(choice.tensor_cores && precision == Precision::fp32) << choice.name << " rounds fp32 to TF32";
      }
      plan.build(0);
      EXPECT_LE(plan.workspace_bytes(), cudnn_workspace_cap);
    }
  }
}

TEST_P(CudnnPlan, FindsEnginesForGroupsDilationAndUnevenPadding) {
  const auto expect_plan = [](const char* what, const ConvProblem& problem) {
    EXPECT_NO_THROW(CudnnConv(problem, CudnnForm::folded, device_of(GetParam())).build(0))
        << what << ", " << text(problem);
  };
  for (const Precision precision : {Precision::fp32, Precision::fp16}) {
    ConvProblem problem = one_layer(precision);
    problem.pad_top = problem.pad_left = 0, problem.pad_bottom = problem.pad_right = 2;
    expect_plan("uneven padding", problem);
    problem = one_layer(precision);
    problem.dilation_h = problem.dilation_w = 2, problem.P = problem.Q = 26;
    expect_plan("dilation", problem);
    problem = one_layer(precision);
    problem.groups = problem.C;
    expect_plan("a filter per channel", problem);
    problem = one_layer(precision);
    problem.C = 5, problem.K = 7;
    expect_plan("odd channels", problem);
    problem = one_layer(precision);
    problem.epilogue = {};
    expect_plan("no epilogue", problem);
    problem = one_layer(precision);
    problem.epilogue.shift = false;
    expect_plan("residual without bias", problem);
    problem = one_layer(precision);
    problem.epilogue.activation = {};
    expect_plan("residual and bias without activation", problem);
  }
}

TEST_P(CudnnPlan, FindsCompiledEnginesForTheExactForm) {
  if (!load_driver()) GTEST_SKIP() << "no libcuda.so.1, and no stand-in for it in /usr/local/cuda";
  if (const auto& why = cudnn_library().no_compiler; !why.empty()) GTEST_SKIP() << why;
  for (const Precision precision : {Precision::fp32, Precision::fp16, Precision::bf16}) {
    if (precision == Precision::bf16 && GetParam().sm < 80) continue;
    const CudnnConv plan(one_layer(precision), CudnnForm::exact, device_of(GetParam()));
    for (const CudnnChoice& choice : plan.choices()) {
      EXPECT_FALSE(choice.precompiled) << choice.name << " matches two roundings; use the folded form's order";
      EXPECT_FALSE(choice.tensor_cores && precision == Precision::fp32) << choice.name << " rounds fp32 to TF32";
    }
  }
}

TEST_P(CudnnPlan, UsesTensorCoresForTf32) {
  if (GetParam().sm < 80) GTEST_SKIP() << "no TF32 before sm_80";
  const CudnnConv plan(one_layer(Precision::tf32), CudnnForm::folded, device_of(GetParam()));
  EXPECT_TRUE(plan.choices().front().tensor_cores);
}

// The winner of a measurement is remembered by its name.
TEST_P(CudnnPlan, NamesItsChoicesApartAndAgain) {
  const CudnnConv plan(one_layer(Precision::fp16), CudnnForm::folded, device_of(GetParam()));
  const CudnnConv again(one_layer(Precision::fp16), CudnnForm::folded, device_of(GetParam()));
  std::set<std::string> names;
  ASSERT_EQ(plan.choices().size(), again.choices().size());
  for (std::size_t i = 0; i < plan.choices().size(); ++i) {
    EXPECT_TRUE(names.insert(plan.choices()[i].name).second) << plan.choices()[i].name << " appears twice";
    EXPECT_EQ(plan.choices()[i].name, again.choices()[i].name);
  }
}

class CudnnErrors : public CudnnPlan {};

TEST_P(CudnnErrors, NameTheLibraryTheStepAndTheWayOut) {
  CudnnDevice device = device_of(GetParam());
  device.properties = "{}";
  try {
    CudnnConv plan(one_layer(Precision::fp16), CudnnForm::folded, device);
    FAIL() << "planned for a device without properties";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    for (const char* word : {"cuDNN 9.", "reading the device's properties failed", "RESNET_ENGINE_CUDNN=off"})
      EXPECT_NE(text.find(word), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST_P(CudnnErrors, RefuseWhatNoEngineTakes) {
  ConvProblem problem = one_layer(Precision::bf16);
  CudnnDevice turing = device_of(test::gpus[0]);
  EXPECT_THROW(CudnnConv(problem, CudnnForm::folded, turing), Error);
}

TEST_P(CudnnErrors, ComeFromCreatingAHandleWithoutADevice) {
  try {
    const CudnnHandle handle;
    GTEST_SKIP() << "this machine has a GPU";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << "our kernels may do without it";
    EXPECT_NE(std::string(error.what()).find("creating a handle failed: CUDNN_STATUS_"), std::string::npos)
        << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Turing, CudnnErrors, testing::Values(test::gpus[0]));
INSTANTIATE_TEST_SUITE_P(Gpus, CudnnPlan, testing::ValuesIn(test::gpus),
                         [](const auto& test) { return "sm" + std::to_string(test.param.sm); });

}  // namespace
}  // namespace resnet::cuda
