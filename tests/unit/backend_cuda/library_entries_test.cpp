// The libraries' entries of the CUDA backend's list, as far as no library is needed: order, refusals, estimates,
// weights.
#include "backends/cuda/library_entries.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "backends/cuda/cuda_backend.hpp"
#include "backends/cuda/cuda_entries.hpp"
#include "backends/cuda/libraries.hpp"
#include "backends/cuda/library_session.hpp"
#include "backends/cuda/library_weights.hpp"
#include "graph/passes.hpp"
#include "kernels/sim/emulator.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::cuda {
namespace {

LayerSpec layer(const std::string& name, const std::string& op, std::vector<std::string> inputs, AttrMap attrs,
                std::map<std::string, std::string, std::less<>> weights) {
  return {name, op, std::move(inputs), std::move(attrs), std::move(weights)};
}

/// x [N,4,4,2] -> conv 1x1 to 2 channels -> batch norm -> relu -> average -> dense to 3, with a bias.
Graph a_network() {
  using Ints = std::vector<std::int64_t>;
  const std::int64_t two = 2;
  std::vector<LayerSpec> layers{
      layer("input", "input", {}, {{"channels", two}, {"height", std::int64_t{4}}, {"width", std::int64_t{4}}}, {}),
      layer("conv", "conv2d", {"input"}, {}, {{"weight", "w"}}),
      layer("bn", "batch_norm", {"conv"}, {{"eps", 0.0}},
            {{"gamma", "gamma"}, {"beta", "beta"}, {"mean", "mean"}, {"var", "var"}}),
      layer("relu", "relu", {"bn"}, {}, {}),
      layer("pool", "global_avg_pool", {"relu"}, {}, {}),
      layer("flat", "flatten", {"pool"}, {}, {}),
      layer("fc", "dense", {"flat"}, {}, {{"weight", "fw"}, {"bias", "fb"}}),
  };
  TensorTable tensors;
  const auto tensor = [&](const char* name, Ints shape) { tensors[name] = {DType::f32, std::move(shape)}; };
  tensor("w", {2, 1, 1, 2}), tensor("fw", {3, 2}), tensor("fb", {3});
  for (const char* name : {"gamma", "beta", "mean", "var"}) tensor(name, {2});
  return optimise(build_graph(std::move(layers), "fc", std::move(tensors)), {});
}

/// A node of the network as selection would describe it.
struct Problem {
  Graph graph = a_network();
  std::vector<Dims> shapes = infer_shapes(graph, 2, 4, 4);
  StepProblem step;

  explicit Problem(std::string_view op, Precision precision = Precision::fp16) {
    step.graph = &graph, step.shapes = &shapes, step.precision = precision;
    for (NodeId id = 0; id < graph.size(); ++id) {
      if (graph.node(id).op->name == op) step.nodes = {id};
    }
    step.inputs = graph.node(step.nodes.at(0)).inputs;
    step.outputs = step.nodes;
    ValueDesc desc;
    desc.dtype = value_dtype(precision);
    desc.dims = shapes[static_cast<std::size_t>(step.inputs[0])];
    step.input_descs = {desc};
    desc.dims = shapes[static_cast<std::size_t>(step.nodes[0])];
    step.output_descs = {desc};
  }
};

DeviceInfo hopper() {
  DeviceInfo device;
  device.kind = DeviceKind::cuda, device.sm = 90, device.multiprocessors = 132, device.memory_gb_per_s = 3350;
  device.cudnn = {91900, {}}, device.cublaslt = {130100, {}};
  return device;
}

const Implementation& entry(std::string_view name) {
  for (const Implementation* entry : library_entries()) {
    if (entry->name == name) return *entry;
  }
  throw std::out_of_range(std::string(name));
}

std::string refusal(std::string_view name, const StepProblem& step, const DeviceInfo& device) {
  const Support support = entry(name).supports(step, device);
  EXPECT_FALSE(support.ok) << name;
  return support.reason;
}

TEST(LibraryEntries, StandBehindOurKernels) {
  const auto all = cuda_entries();
  std::vector<std::string_view> last;
  for (const Implementation* entry : all.last(3)) last.push_back(entry->name);
  EXPECT_EQ(last, (std::vector<std::string_view>{"cudnn", "cudnn_exact", "cublaslt"}));
  EXPECT_EQ(all.front()->name, all[0]->name);
  EXPECT_GT(all.size(), 10u);
}

TEST(LibraryEntries, MatchTheirOpsAlone) {
  const Problem conv("conv2d"), dense("dense");
  EXPECT_EQ(entry("cudnn").match(conv.graph, conv.step.nodes[0]), conv.step.nodes);
  EXPECT_TRUE(entry("cudnn").match(conv.graph, dense.step.nodes[0]).empty());
  EXPECT_EQ(entry("cublaslt").match(conv.graph, dense.step.nodes[0]), dense.step.nodes);
  EXPECT_TRUE(entry("cublaslt").match(conv.graph, conv.step.nodes[0]).empty());
}

TEST(LibraryEntries, SayWhyTheirLibraryIsNotThere) {
  DeviceInfo device = hopper();
  device.cudnn = {0, "cuDNN 9 was not found; install it"}, device.cublaslt = {0, "cuBLASLt is too old"};
  EXPECT_EQ(refusal("cudnn", Problem("conv2d").step, device), "cuDNN 9 was not found; install it");
  EXPECT_EQ(refusal("cudnn_exact", Problem("conv2d").step, device), "cuDNN 9 was not found; install it");
  EXPECT_EQ(refusal("cublaslt", Problem("dense").step, device), "cuBLASLt is too old");
  EXPECT_EQ(refusal("cudnn", Problem("conv2d").step, DeviceInfo{}), "cuDNN is not loaded");
}

TEST(LibraryEntries, RefuseWhatDependsOnTheBatch) {
  Problem conv("conv2d"), dense("dense");
  conv.step.deterministic = dense.step.deterministic = true;
  EXPECT_NE(refusal("cudnn", conv.step, hopper()).find("(deterministic)"), std::string::npos);
  EXPECT_NE(refusal("cublaslt", dense.step, hopper()).find("(deterministic)"), std::string::npos);
}

TEST(LibraryEntries, RefuseOldDevices) {
  DeviceInfo device = hopper();
  device.sm = 75;
  EXPECT_EQ(refusal("cudnn", Problem("conv2d", Precision::bf16).step, device), "bf16 needs sm_80, the device is sm_75");
  EXPECT_EQ(refusal("cublaslt", Problem("dense", Precision::tf32).step, device),
            "tf32 needs sm_80, the device is sm_75");
  device.sm = 70;
  EXPECT_EQ(refusal("cudnn", Problem("conv2d").step, device), "fp16 needs sm_75, the device is sm_70");
}

TEST(LibraryEntries, AreRefusedOnTheEmulatorByName) {
  EXPECT_NE(refusal("cudnn", Problem("conv2d").step, hopper()).find("no cuDNN graphs"), std::string::npos);
  EXPECT_NE(refusal("cublaslt", Problem("dense").step, hopper()).find("no cuBLASLt products"), std::string::npos);
  sim::reset();
  sim::set_devices({{}});
  const auto backend = make_cuda_backend(0);
  EXPECT_EQ(backend->device().cudnn.missing, "cuDNN is not part of the emulated build");
  EXPECT_EQ(refusal("cudnn", Problem("conv2d").step, backend->device()), "cuDNN is not part of the emulated build");
  EXPECT_NE(cuda_backend_devices().at(0).software.find("no cuBLASLt (cuBLASLt is not part of"), std::string::npos);
}

TEST(LibraryEntries, EstimateLongerForMoreWork) {
  const auto us = [](const char* name, const char* op, std::int64_t images) {
    Problem problem(op);
    problem.shapes = infer_shapes(problem.graph, images, 4, 4);
    problem.step.output_descs[0].dims = problem.shapes[static_cast<std::size_t>(problem.step.nodes[0])];
    return entry(name).estimate_us(problem.step, hopper());
  };
  EXPECT_GT(us("cudnn", "conv2d", 1), 1);
  EXPECT_GT(us("cudnn", "conv2d", 1 << 20), us("cudnn", "conv2d", 1));
  EXPECT_GT(us("cublaslt", "dense", 1 << 20), us("cublaslt", "dense", 1));
}

/// What a request packs from tensors given by name.
std::vector<std::byte> packed(const WeightRequest& request, const std::map<std::string, std::vector<float>>& values) {
  std::vector<StoredTensor> info;
  for (const std::string& name : request.tensors) info.push_back({name, DType::f32, {}, 0, 0, 0});
  std::vector<TensorValues> tensors;
  for (std::size_t i = 0; i < info.size(); ++i) tensors.push_back({&info[i], values.at(info[i].name)});
  std::vector<std::byte> out(request.bytes);
  request.pack(tensors, out.data());
  return out;
}

template <class T>
std::vector<T> as(const std::vector<std::byte>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

const std::map<std::string, std::vector<float>> tensors{
    {"w", {1, 2, 3, 4}}, {"gamma", {2, 3}}, {"beta", {0.5f, 1}},       {"mean", {1, 2}},
    {"var", {4, 1}},     {"fb", {1, 2, 3}}, {"fw", {1, 2, 3, 4, 5, 6}}};

TEST(LibraryWeights, MultiplyTheFilterByTheBatchNormsScale) {
  const Problem conv("conv2d", Precision::fp32);
  // scale = gamma / sqrt(var) = 1, 3; shift = beta - mean scale = -0.5, -5
  EXPECT_EQ(as<float>(packed(library_filter(conv.step, DType::f32, true), tensors)), (std::vector<float>{1, 2, 9, 12}));
  EXPECT_EQ(as<float>(packed(library_filter(conv.step, DType::f32, false), tensors)), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(as<float>(packed(library_shift(conv.step, DType::f32), tensors)), (std::vector<float>{-0.5f, -5}));
}

TEST(LibraryWeights, RoundOnceToTheTypeOfTheValues) {
  const Problem conv("conv2d");
  auto values = tensors;
  values["w"][2] = 1.0f / 3;
  values["gamma"][1] = 1.0f / 7;
  const auto half = as<std::uint16_t>(packed(library_filter(conv.step, DType::f16, true), values));
  EXPECT_EQ(half[2], f32_to_f16(static_cast<float>(static_cast<double>(1.0f / 3) * static_cast<double>(1.0f / 7))));
  const auto shift = as<std::uint16_t>(packed(library_shift(conv.step, DType::bf16), tensors));
  EXPECT_EQ(shift[0], f32_to_bf16(-0.5f));
}

TEST(LibraryWeights, AreSharedOnlyWhereTheyAreEqual) {
  const Problem conv("conv2d");
  const std::string folded = library_filter(conv.step, DType::f16, true).format;
  EXPECT_NE(folded, library_filter(conv.step, DType::f16, false).format);
  EXPECT_NE(folded, library_filter(conv.step, DType::bf16, true).format);
  EXPECT_NE(library_shift(conv.step, DType::f16).format, library_shift(conv.step, DType::f32).format);
}

TEST(LibraryWeights, AreZerosForAShiftThatIsNotThere) {
  Problem conv("conv2d");
  conv.graph.node(conv.step.nodes[0]).epilogue.affine.clear();
  EXPECT_EQ(as<float>(packed(library_shift(conv.step, DType::f32), tensors)), (std::vector<float>{0, 0}));
}

TEST(LibraryWeights, NameTheLayerWhoseProductDoesNotFit) {
  const Problem conv("conv2d");
  auto values = tensors;
  values["w"][2] = 60000;  // fits f16, three times as much does not
  try {
    packed(library_filter(conv.step, DType::f16, true), values);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::nonfinite_weight);
    const std::string text = error.what();
    EXPECT_NE(text.find("layer 'relu'"), std::string::npos) << text;
    EXPECT_NE(text.find("use bf16 or fp32"), std::string::npos) << text;
  }
}

TEST(LibraryWeights, OfADenseLayerCarryItsBias) {
  const Problem dense("dense", Precision::fp32);
  EXPECT_EQ(as<float>(packed(library_filter(dense.step, DType::f32, true), tensors)), tensors.at("fw"));
  EXPECT_EQ(as<float>(packed(library_shift(dense.step, DType::f32), tensors)), tensors.at("fb"));
}

TEST(LibrarySession, IsFoundByItsBackendsFactsAlone) {
  sim::reset();
  sim::set_devices({{}});
  const auto backend = make_cuda_backend(0);
  EXPECT_EQ(&LibrarySession::of(backend->device()).backend(), backend.get());
  const DeviceInfo copy = backend->device();
  EXPECT_THROW(LibrarySession::of(copy), Error);
}

}  // namespace
}  // namespace resnet::cuda
