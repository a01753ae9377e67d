#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "kernels/cuda_api.hpp"
#include "kernels/device_buffer.hpp"
#include "kernels/kernel_run.hpp"
#include "kernels/numbers.hpp"
#include "kernels/samples.hpp"

/// Results at elements beyond 2^31 and 2^32. A problem is made of equal slices (images, rows, filters) of which the
/// first, the middle and the last have data and are judged against the same problem of three slices. The emulator backs
/// only those with memory and runs only the blocks that make them.
namespace resnet::test {
namespace {

constexpr std::int64_t two_32 = std::int64_t{1} << 32;

struct SlicedProblem {
  std::string name;
  kernels::Problem huge, three_slices;
};

std::vector<SlicedProblem> convolutions() {
  std::vector<SlicedProblem> cases;
  EpilogueProblem all;
  all.scale = all.shift = all.residual = true, all.activation.kind = ActivationKind::relu;
  // So many that the last begins beyond element `beyond`, the middle one beyond the half.
  const auto images = [&](const char* name, ConvShape shape, const EpilogueProblem& epilogue = {},
                          std::int64_t beyond = two_32) {
    const auto of = [&](std::int64_t N) {
      shape.N = N;
      return make_conv(shape, epilogue);
    };
    const ConvProblem one = of(1);
    const std::int64_t smaller = std::min(one.H * one.W * one.C, one.P * one.Q * one.K);
    cases.push_back({name, of(beyond / smaller + 2), of(3)});
  };
  images("3x3", {.H = 4, .W = 4, .C = 64, .K = 64, .R = 3, .S = 3, .pads = {1, 1, 1, 1}}, all);
  images("1x1", {.H = 4, .W = 4, .C = 64, .K = 64});
  images("stride_2",
         {.H = 3, .W = 3, .C = 32, .K = 80, .R = 3, .S = 3, .stride_h = 2, .stride_w = 2, .pads = {1, 1, 1, 1}});
  images("positions_beyond_32_bits", {.H = 2, .W = 2});
  for (const std::int64_t groups : {2, 4})
    images("positions_beyond_31_bits", {.H = 4, .W = 4, .C = 8, .K = 8, .groups = groups}, {}, 4 * two_32);
  for (const std::int64_t filter : {7, 3}) {
    const std::int64_t pad = filter / 2;
    images("stem", {.H = 16,
                    .W = 16,
                    .C = 3,
                    .K = 2,
                    .R = filter,
                    .S = filter,
                    .stride_h = 2,
                    .stride_w = 2,
                    .pads = {pad, pad, pad, pad}});
  }
  for (const std::int64_t groups : {2, 8, 64})
    images("groups", {.H = 4, .W = 4, .C = 64, .K = 64, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = groups}, all);
  images("depthwise_of_two", {.H = 4, .W = 4, .C = 24, .K = 48, .R = 3, .S = 3, .groups = 24});
  const auto rows_of_one_image = [&](std::int64_t groups) {
    const auto of = [&](std::int64_t H) { return make_conv({.H = H, .W = 8, .C = 64, .K = 64, .groups = groups}); };
    cases.push_back({"rows_of_one_image", of(two_32 / (8 * 64) + 2), of(3)});
  };
  for (const std::int64_t groups : {1, 8, 64}) rows_of_one_image(groups);
  const auto filters = [](std::int64_t slices) { return make_conv({.C = 256, .K = 16 * slices}); };
  cases.push_back({"filters", filters(two_32 / (16 * 256) + 2), filters(3)});
  return cases;
}

std::vector<SlicedProblem> dense_layers() {
  std::vector<SlicedProblem> cases;
  const auto rows = [](std::int64_t slices) {
    DenseProblem p;
    p.N = slices, p.C = p.K = 64, p.epilogue.shift = true;
    return p;
  };
  cases.push_back({"rows", rows(two_32 / 64 + 2), rows(3)});
  // 16 filters are a slice.
  const auto filters = [](std::int64_t C, std::int64_t slices) {
    DenseProblem p;
    p.N = 1, p.C = C, p.K = 16 * slices, p.epilogue.scale = true;
    return p;
  };
  const auto pooled_filters = [](std::int64_t C, std::int64_t slices) {
    PoolDenseProblem p;
    p.N = 1, p.H = p.W = 2, p.C = C, p.K = 16 * slices, p.epilogue.shift = true;
    return p;
  };
  for (const std::int64_t C : {256, 1}) {
    const std::int64_t slices = two_32 / (16 * C) + 2;
    cases.push_back({"filters", filters(C, slices), filters(C, 3)});
    cases.push_back({"pooled_filters", pooled_filters(C, slices), pooled_filters(C, 3)});
  }
  return cases;
}

std::vector<SlicedProblem> memory_bound() {
  std::vector<SlicedProblem> cases;
  const auto add = [&](const char* name, std::int64_t slice_elements, const auto& of) {
    cases.push_back({name, of(two_32 / slice_elements + 2), of(3)});
  };
  // With one channel an item is one element: their number leaves 32 bits, too.
  for (const std::int64_t C : {64, 1}) {
    add(C == 64 ? "max_pool" : "avg_pool", C == 64 ? 8 * C : 4 * C, [&](std::int64_t N) {
      PoolProblem p;
      p.N = N, p.H = p.W = 4, p.C = C, p.R = p.S = p.stride_h = p.stride_w = p.P = p.Q = 2, p.max = C == 64;
      return p;
    });
  }
  for (const std::int64_t P : {2, 1})
    add("adaptive_pool", P * P * 128, [&](std::int64_t N) { return AdaptivePoolProblem{N, 2 * P, 2 * P, 64, P, P}; });
  add("adaptive_pool", 4, [&](std::int64_t N) { return AdaptivePoolProblem{N, 3, 3, 1, 2, 2}; });
  for (const PointwiseKind kind : {PointwiseKind::copy, PointwiseKind::add, PointwiseKind::multiply_channels}) {
    for (const std::int64_t C : {64, 65}) {
      // One position: the second operand of multiply_channels is as large as the first.
      add("pointwise", C, [&](std::int64_t N) {
        PointwiseProblem p;
        p.kind = kind, p.N = N, p.positions_per_image = 1, p.C = C;
        p.epilogue.scale = p.epilogue.shift = kind == PointwiseKind::multiply_channels;
        return p;
      });
    }
  }
  for (const bool reflect : {false, true}) {
    add("pad", 4 * 4, [&](std::int64_t N) {
      PadProblem p;
      p.N = N, p.H = p.W = 4, p.C = 1, p.pad_top = p.pad_right = 1, p.reflect = reflect;
      return p;
    });
  }
  for (const std::int64_t C : {100, 2056})
    add("softmax", C, [&](std::int64_t rows) { return SoftmaxProblem{rows, C}; });
  for (const std::int64_t k : {64, 70}) add("top_k", k, [&](std::int64_t rows) { return TopKProblem{rows, k, k}; });
  struct Side {
    DType type;
    LayoutId layout;
    std::int64_t padded;
  };
  const auto convert = [&](const char* name, std::int64_t C, const Side& in, const Side& out, bool scale_shift) {
    add(name, 16 * C, [&](std::int64_t N) {
      ConvertProblem p;
      p.in.dims = p.out.dims = {N, 4, 4, C};
      p.in.dtype = in.type, p.in.layout = in.layout, p.in.c_padded = in.padded;
      p.out.dtype = out.type, p.out.layout = out.layout, p.out.c_padded = out.padded;
      p.scale_shift = scale_shift;
      return p;
    });
  };
  using enum DType;
  using enum LayoutId;
  convert("pixels", 3, {u8, nhwc, 0}, {bf16, nhwc, 8}, true);
  convert("planes_to_pixels", 3, {u8, nchw, 0}, {f16, nhwc, 0}, true);
  convert("same_order", 5, {u8, nhwc, 0}, {f16, nhwc, 0}, false);
  convert("to_planes", 16, {bf16, nhwc, 0}, {f16, nchw, 0}, false);
  convert("from_planes", 16, {f16, nchw, 0}, {f16, nhwc, 0}, false);
  return cases;
}

std::vector<SlicedProblem> sliced_problems() {
  std::vector<SlicedProblem> cases = convolutions();
  for (const auto& more : {dense_layers(), memory_bound()}) cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

/// An operand in device memory of which only the first, the middle and the last slice have data; or, where both
/// problems have it in the same size, all of it.
class SlicedBuffer {
 public:
  SlicedBuffer(std::size_t bytes, std::size_t bytes_of_three)
      : slice_bytes_(bytes == bytes_of_three ? bytes : bytes_of_three / 3) {
    if (bytes == 0) return;
    expect_success(cuda_api().cudaMalloc(&data_, bytes), "cudaMalloc");
    // The emulator's large ones are zero, and must not all be touched.
    constexpr std::size_t large = std::size_t{1} << 30;
    if (!is_emulator() || bytes < large) expect_success(cuda_api().cudaMemset(data_, 0, bytes), "cudaMemset");
    offsets_ = {0};
    if (bytes != bytes_of_three) offsets_ = {0, bytes / slice_bytes_ / 2 * slice_bytes_, bytes - slice_bytes_};
  }
  ~SlicedBuffer() { cuda_api().cudaFree(data_); }
  SlicedBuffer(const SlicedBuffer&) = delete;
  SlicedBuffer& operator=(const SlicedBuffer&) = delete;

  void* data() const { return data_; }
  const float* floats() const { return static_cast<const float*>(data_); }

  void upload(const std::vector<std::byte>& slices) {
    if (slices.size() != offsets_.size() * slice_bytes_) throw std::runtime_error("the slices have another size");
    for (std::size_t i = 0; i < offsets_.size(); ++i) {
      expect_success(
          cuda_api().cudaMemcpy(at(i), slices.data() + i * slice_bytes_, slice_bytes_, cudaMemcpyHostToDevice),
          "cudaMemcpy");
    }
  }
  std::vector<std::byte> download() const {
    std::vector<std::byte> slices(offsets_.size() * slice_bytes_);
    for (std::size_t i = 0; i < offsets_.size(); ++i) {
      expect_success(
          cuda_api().cudaMemcpy(slices.data() + i * slice_bytes_, at(i), slice_bytes_, cudaMemcpyDeviceToHost),
          "cudaMemcpy");
    }
    return slices;
  }

 private:
  std::byte* at(std::size_t slice) const { return static_cast<std::byte*>(data_) + offsets_[slice]; }

  void* data_ = nullptr;
  std::size_t slice_bytes_;
  std::vector<std::size_t> offsets_;
};

std::size_t bytes_of(std::int64_t elements, DType type) { return static_cast<std::size_t>(elements) * size_of(type); }

/// The three slices of the huge problem's result.
RunResult run_slices(const kernels::Kernel& kernel, const kernels::Problem& huge, const kernels::Problem& three,
                     const DeviceInfo& device, const HostData& data) {
  constexpr unsigned sampled_blocks = 6;  // enough for a slice, wherever in a block it begins
  use_device(device);
  use_schedule(0, false);
  use_block_sample(sampled_blocks);
  const OperandSizes all = operand_sizes(huge), some = operand_sizes(three);
  const auto operand = [](std::int64_t elements, std::int64_t of_three, DType type) {
    return SlicedBuffer(bytes_of(elements, type), bytes_of(of_three, type));
  };
  SlicedBuffer x = operand(all.x, some.x, all.x_type), second = operand(all.second, some.second, all.second_type);
  const bool weighted = !data.weight.empty() && kernel.weights.bytes;
  SlicedBuffer weight(weighted ? kernel.weights.bytes(huge) : 0, weighted ? kernel.weights.bytes(three) : 0);
  SlicedBuffer scale = operand(all.scale, some.scale, DType::f32), shift = operand(all.shift, some.shift, DType::f32);
  SlicedBuffer y = operand(all.y, some.y, all.y_type), indices = operand(all.indices, some.indices, DType::f32);
  DeviceBuffer semaphores("semaphores", kernels::semaphore_count * sizeof(std::uint32_t));
  semaphores.fill(0);
  x.upload(encode(some.x_type, data.x));
  second.upload(encode(some.second_type, data.second));
  if (weighted) {
    std::vector<std::byte> packed(kernel.weights.bytes(three));
    kernel.weights.pack(three, data.weight, packed.data());
    weight.upload(packed);
  }
  scale.upload(encode(DType::f32, data.scale));
  shift.upload(encode(DType::f32, data.shift));
  y.upload(std::vector<std::byte>(bytes_of(some.y, some.y_type), std::byte{0xff}));
  expect_success(cuda_api().cudaDeviceSynchronize(), "cudaDeviceSynchronize");

  kernels::Operands operands;
  operands.x = x.data(), operands.second = second.data(), operands.weight = weight.data();
  operands.scale = scale.floats(), operands.shift = shift.floats();
  operands.y = y.data(), operands.indices = indices.data();
  operands.semaphores = static_cast<std::uint32_t*>(semaphores.data());
  RunResult result;
  result.error = kernel.launch(huge, operands, {nullptr, &device});
  const cudaError_t late = cuda_api().cudaDeviceSynchronize();
  use_schedule(0, false);
  result.faults = take_reports();
  if (late != cudaSuccess) result.faults.push_back(cuda_api().cudaGetErrorString(late));
  if (!result.faults.empty()) return result;
  result.y = y.download();
  const std::vector<std::byte> index_bytes = indices.download();
  result.indices.resize(index_bytes.size() / sizeof(std::int32_t));
  if (!index_bytes.empty()) std::memcpy(result.indices.data(), index_bytes.data(), index_bytes.size());
  return result;
}

/// Device memory that the problem's operands take.
std::size_t operand_bytes(const kernels::Kernel& kernel, const kernels::Problem& problem) {
  const OperandSizes s = operand_sizes(problem);
  const std::size_t weight = s.weight > 0 && kernel.weights.bytes ? kernel.weights.bytes(problem) : 0;
  return bytes_of(s.x, s.x_type) + bytes_of(s.second, s.second_type) + bytes_of(s.y, s.y_type) + weight +
         bytes_of(s.scale + s.shift + s.indices, DType::f32);
}

/// It goes over the rows once per group, so that the middle blocks are the first ones of a group.
bool is_ordered_by_groups(const kernels::Kernel& kernel, const kernels::Problem& problem) {
  const auto* const conv = std::get_if<ConvProblem>(&problem);
  return is_emulator() && conv && conv->groups > 1 && kernel.name == "conv_direct";
}

using HugeResults = testing::TestWithParam<const kernels::Kernel*>;

TEST_P(HugeResults, AreRightInTheFirstMiddleAndLastSlice) {
  const kernels::Kernel& kernel = *GetParam();
  DeviceInfo device = devices().front();
  // No block comes round: its one tile or item lies where its number says.
  if (is_emulator()) device.multiprocessors = 1 << 26;
  int runs = 0;
  bool without_memory = false;
  for (const SlicedProblem& c : sliced_problems()) {
    if (is_ordered_by_groups(kernel, c.huge)) continue;
    for (const Types& types : types_for(c.huge)) {
      const kernels::Problem huge = with_types(c.huge, types), three = with_types(c.three_slices, types);
      if (!kernel.supports(huge, device)) continue;
      if (operand_bytes(kernel, huge) > device.memory_bytes / 2) {
        without_memory = true;
        continue;
      }
      SCOPED_TRACE(c.name + ", " + std::string(kernel.name) + ": " + kernels::to_string(huge));
      ASSERT_EQ(kernel.workspace_bytes(huge, device), 0u) << "splits of a tile lie far apart in the grid";
      const DataKind kind = takes_integers(three) ? DataKind::signed_integers : DataKind::real;
      const HostData data = make_data(three, kind, options().seed);
      const RunResult result = run_slices(kernel, huge, three, device, data);
      ASSERT_EQ(result.error, cudaSuccess);
      for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
      ASSERT_TRUE(result.faults.empty());
      EXPECT_EQ(judge(three, kind, references_of(three, kind, data), result), "");
      ++runs;
      if (has_access_hooks()) break;  // which only see that it stays inside
    }
  }
  if (runs == 0 && without_memory) GTEST_SKIP() << "needs more than " << device.memory_bytes << " bytes of memory";
  EXPECT_GT(runs, 0) << "no huge problem is for this kernel";
}

INSTANTIATE_TEST_SUITE_P(Catalog, HugeResults, testing::ValuesIn(tested_kernels()), KernelName());

}  // namespace
}  // namespace resnet::test
