// Times every kernel of the catalog on every layer of a network: one CUDA graph of many launches that rotate over
// enough operand sets to leave the L2 cache, device events around it, median of several rounds. Prints a table, writes
// JSON.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "base/json.hpp"
#include "base/shape.hpp"
#include "kernels/cuda_api.hpp"
#include "kernels/estimate.hpp"
#include "kernels/host_data.hpp"
#include "kernels/kernel.hpp"
#include "kernels/query_device.hpp"
#include "support/fused_network.hpp"
#include "support/problems.hpp"

namespace resnet::test {
namespace {

constexpr const char* usage_text = R"(Usage: kernel_bench [OPTION]...

  --network NAME      resnet18, resnet34, resnet50 (default), resnet101, resnet152, resnext50_32x4d, wide_resnet50_2
  --batch LIST        default 1,32,256
  --precision LIST    fp32, tf32, fp16, bf16 (default bf16)
  --size N            height and width of the input (default 224)
  --kernel TEXT       only kernels whose name contains it
  --rounds N          rounds per kernel, the median counts (default 7)
  --calls N           launches per round (default: what fills 3 ms by the paper model, 4 to 200)
  --out FILE          JSON
  --paper             no GPU: the kernel that selection takes for each layer of an H200, and its paper model of the time
)";

struct Options {
  std::string network = "resnet50", kernel, out, command;
  std::vector<std::int64_t> batches = {1, 32, 256};
  std::vector<Precision> precisions = {Precision::bf16};
  std::int64_t size = 224;
  int rounds = 7, calls = 0;
  bool paper = false;
};

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(call) + ": " + cuda_api().cudaGetErrorString(error));
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::int64_t positive(const std::string& text, const std::string& option) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) {
    throw std::invalid_argument(option + " takes whole numbers from 1 on, not '" + text + "'");
  }
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 0; i < argc; ++i) options.command += (i ? " " : "") + std::string(i ? argv[i] : "kernel_bench");
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--paper") {
      options.paper = true;
      continue;
    }
    if (i + 1 == argc) throw std::invalid_argument("option " + option + " is unknown or misses its value");
    const std::string value = argv[++i];
    if (option == "--network") {
      options.network = value;
    } else if (option == "--kernel") {
      options.kernel = value;
    } else if (option == "--out") {
      options.out = value;
    } else if (option == "--size") {
      options.size = positive(value, option);
    } else if (option == "--calls") {
      options.calls = static_cast<int>(positive(value, option));
    } else if (option == "--rounds") {
      options.rounds = static_cast<int>(positive(value, option));
    } else if (option == "--batch") {
      options.batches.clear();
      for (const std::string& part : split(value)) options.batches.push_back(positive(part, option));
    } else if (option == "--precision") {
      options.precisions.clear();
      for (const std::string& part : split(value)) options.precisions.push_back(parse_precision(part));
    } else {
      throw std::invalid_argument("unknown option " + option);
    }
  }
  return options;
}

Types types_of(Precision precision) {
  switch (precision) {
    case Precision::fp16:
      return {DType::f16, DType::f16, precision};
    case Precision::bf16:
      return {DType::bf16, DType::bf16, precision};
    default:
      return {DType::f32, DType::f32, precision};
  }
}

DeviceInfo current_device() {
  DeviceInfo info;
  check(kernels::query_device(0, info), "reading the properties of device 0");
  return info;
}

/// Device memory, freed at the end of its scope.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : bytes_(bytes) {
    check(cuda_api().cudaMalloc(&data_, std::max<std::size_t>(bytes, 256)), "cudaMalloc");
  }
  Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { static_cast<void>(cuda_api().cudaFree(data_)); }
  void* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Normal values of a type, as many bytes as asked for, the same ones each time. Long operands repeat a block of them.
Memory random_memory(std::size_t bytes, DType type, std::uint64_t seed, float deviation = 1) {
  constexpr std::size_t block_elements = std::size_t{1} << 20;
  const std::size_t elements = std::min(bytes / size_of(type), block_elements);
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<std::byte> block(elements * size_of(type));
  for (std::size_t i = 0; i < elements; ++i) {
    const float value = normal(engine);
    if (type == DType::f32) {
      std::memcpy(block.data() + 4 * i, &value, 4);
    } else {
      const std::uint16_t bits = type == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
      std::memcpy(block.data() + 2 * i, &bits, 2);
    }
  }
  Memory memory(bytes);
  for (std::size_t offset = 0; offset < bytes; offset += block.size()) {
    const std::size_t count = std::min(block.size(), bytes - offset);
    check(cuda_api().cudaMemcpy(static_cast<std::byte*>(memory.data()) + offset, block.data(), count,
                                cudaMemcpyHostToDevice),
          "cudaMemcpy");
  }
  return memory;
}

/// Operands of one problem, in as many sets as fill the L2 cache twice.
class OperandSets {
 public:
  OperandSets(const kernels::Problem& problem, std::size_t l2_bytes) : sizes_(operand_sizes(problem)) {
    const std::size_t moved =
        bytes(sizes_.x, sizes_.x_type) + bytes(sizes_.second, sizes_.second_type) + bytes(sizes_.y, sizes_.y_type);
    const std::size_t sets = std::clamp<std::size_t>(2 * l2_bytes / std::max<std::size_t>(moved, 1) + 1, 2, 16);
    for (std::size_t i = 0; i < sets; ++i) {
      x_.push_back(random_memory(bytes(sizes_.x, sizes_.x_type), sizes_.x_type, 1 + i));
      second_.push_back(random_memory(bytes(sizes_.second, sizes_.second_type), sizes_.second_type, 101 + i));
      y_.emplace_back(bytes(sizes_.y, sizes_.y_type));
    }
  }

  std::size_t count() const { return x_.size(); }
  kernels::Operands operands(std::size_t set) const {
    kernels::Operands operands;
    operands.x = x_[set].data();
    operands.second = sizes_.second ? second_[set].data() : nullptr;
    operands.y = y_[set].data();
    operands.scale = static_cast<const float*>(scale_.data());
    operands.shift = static_cast<const float*>(shift_.data());
    operands.indices = indices_.data();
    return operands;
  }
  std::int64_t weights() const { return sizes_.weight; }

 private:
  static std::size_t bytes(std::int64_t elements, DType type) {
    return static_cast<std::size_t>(elements) * size_of(type);
  }

  OperandSizes sizes_;
  std::vector<Memory> x_, second_, y_;
  Memory scale_ = random_memory(bytes(sizes_.scale, DType::f32), DType::f32, 201);
  Memory shift_ = random_memory(bytes(sizes_.shift, DType::f32), DType::f32, 202);
  Memory indices_ = Memory(bytes(sizes_.indices, DType::i32));
};

struct Times {
  double median = 0, least = 0, most = 0;
};

class Timer {
 public:
  explicit Timer(const DeviceInfo& device) : device_(device), semaphores_(kernels::semaphore_count * 4) {
    const CudaApi& api = cuda_api();
    check(api.cudaMemset(semaphores_.data(), 0, semaphores_.size()), "cudaMemset");
    check(api.cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(api.cudaEventCreateWithFlags(&begin_, cudaEventDefault), "cudaEventCreateWithFlags");
    check(api.cudaEventCreateWithFlags(&end_, cudaEventDefault), "cudaEventCreateWithFlags");
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() {
    static_cast<void>(cuda_api().cudaEventDestroy(end_));
    static_cast<void>(cuda_api().cudaEventDestroy(begin_));
    static_cast<void>(cuda_api().cudaStreamDestroy(stream_));
  }

  Times time(const kernels::Kernel& kernel, const kernels::Problem& problem, const OperandSets& sets,
             const Options& options) {
    const CudaApi& api = cuda_api();
    const Memory workspace(kernel.workspace_bytes(problem, device_));
    const Memory weights = packed_weights(kernel, problem, sets.weights());
    const auto launch = [&](std::size_t set) {
      kernels::Operands operands = sets.operands(set);
      operands.weight = weights.data();
      operands.workspace = workspace.data();
      operands.semaphores = static_cast<std::uint32_t*>(semaphores_.data());
      check(kernel.launch(problem, operands, {stream_, &device_}), std::string(kernel.name).c_str());
    };
    check(api.cudaDeviceSynchronize(), "cudaDeviceSynchronize");  // uploads; no stream waits for them
    launch(0);
    check(api.cudaStreamSynchronize(stream_), std::string(kernel.name).c_str());

    const double estimate = kernel.estimate_us(problem, device_);
    const int calls =
        options.calls > 0 ? options.calls : std::clamp(static_cast<int>(3000 / std::max(estimate, 1.0)), 4, 200);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    check(api.cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      for (int i = 0; i < calls; ++i) launch(static_cast<std::size_t>(i) % sets.count());
    } catch (...) {
      static_cast<void>(api.cudaStreamEndCapture(stream_, &graph));
      throw;
    }
    check(api.cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    check(api.cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    std::vector<double> times;
    for (int round = -1; round < options.rounds; ++round) {  // round -1 warms up
      check(api.cudaEventRecord(begin_, stream_), "cudaEventRecord");
      check(api.cudaGraphLaunch(executable, stream_), "cudaGraphLaunch");
      check(api.cudaEventRecord(end_, stream_), "cudaEventRecord");
      check(api.cudaEventSynchronize(end_), std::string(kernel.name).c_str());
      float milliseconds = 0;
      check(api.cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
      if (round >= 0) times.push_back(1e3 * static_cast<double>(milliseconds) / calls);
    }
    check(api.cudaGraphExecDestroy(executable), "cudaGraphExecDestroy");
    check(api.cudaGraphDestroy(graph), "cudaGraphDestroy");
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times.front(), times.back()};
  }

 private:
  static Memory packed_weights(const kernels::Kernel& kernel, const kernels::Problem& problem, std::int64_t count) {
    if (!kernel.weights.pack || count == 0) return Memory(0);
    std::mt19937_64 engine(301);
    std::normal_distribution<float> normal(0, 0.05f);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = normal(engine);
    std::vector<std::byte> packed(kernel.weights.bytes(problem));
    kernel.weights.pack(problem, values, packed.data());
    Memory memory(packed.size());
    check(cuda_api().cudaMemcpy(memory.data(), packed.data(), packed.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
    return memory;
  }

  DeviceInfo device_;
  Memory semaphores_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

/// The convolution's sizes for other programs (cudnn_layers.py).
Json::Object geometry(const ConvProblem& p) {
  return {{"N", p.N},
          {"H", p.H},
          {"W", p.W},
          {"C", p.C},
          {"K", p.K},
          {"R", p.R},
          {"S", p.S},
          {"P", p.P},
          {"Q", p.Q},
          {"stride_h", p.stride_h},
          {"stride_w", p.stride_w},
          {"pad_top", p.pad_top},
          {"pad_left", p.pad_left},
          {"dilation_h", p.dilation_h},
          {"dilation_w", p.dilation_w},
          {"groups", p.groups},
          {"in", std::string(to_string(p.in))},
          {"precision", std::string(to_string(p.precision))},
          {"residual", p.epilogue.residual}};
}

struct Distinct {
  kernels::Problem problem;
  int count = 0;
};

std::vector<Distinct> distinct_layers(const Options& options, std::int64_t batch, Precision precision) {
  std::vector<Distinct> layers;
  for (const FusedStep& step : fused_network(options.network, batch, options.size)) {
    const kernels::Problem problem = with_types(step.problem, types_of(precision));
    const auto known =
        std::find_if(layers.begin(), layers.end(), [&](const Distinct& layer) { return layer.problem == problem; });
    if (known == layers.end()) {
      layers.push_back({problem, 1});
    } else {
      ++known->count;
    }
  }
  return layers;
}

double least_bytes(const kernels::Problem& problem) {
  if (const auto* conv = std::get_if<ConvProblem>(&problem)) return kernels::least_bytes(*conv);
  if (const auto* dense = std::get_if<DenseProblem>(&problem)) return kernels::least_bytes(*dense);
  const OperandSizes sizes = operand_sizes(problem);
  const auto bytes = [](std::int64_t elements, DType type) {
    return static_cast<double>(elements) * static_cast<double>(size_of(type));
  };
  return bytes(sizes.x, sizes.x_type) + bytes(sizes.second, sizes.second_type) + bytes(sizes.y, sizes.y_type) +
         bytes(sizes.weight, sizes.x_type);
}

double macs_of(const kernels::Problem& problem) {
  const bool multiplies = std::holds_alternative<ConvProblem>(problem) ||
                          std::holds_alternative<DenseProblem>(problem) ||
                          std::holds_alternative<PoolDenseProblem>(problem);
  return multiplies ? static_cast<double>(work_of(problem)) : 0.0;
}

Json time_layer(const Distinct& layer, std::int64_t batch, Precision precision, const DeviceInfo& device, Timer& timer,
                const Options& options) {
  const OperandSets sets(layer.problem, device.l2_bytes);
  Json::Array rows;
  for (const kernels::Kernel* kernel : kernels::catalog()) {
    if (kernel->name.find(options.kernel) == std::string_view::npos) continue;
    const Support support = kernel->supports(layer.problem, device);
    if (!support) continue;
    Times times;
    try {
      times = timer.time(*kernel, layer.problem, sets, options);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "kernel_bench: %s: %s\n", kernels::to_string(layer.problem).c_str(), error.what());
      rows.push_back(Json::Object{{"name", std::string(kernel->name)}, {"error", std::string(error.what())}});
      continue;
    }
    std::printf("%-16.*s %9.2f us (%.2f to %.2f)  %s\n", static_cast<int>(kernel->name.size()), kernel->name.data(),
                times.median, times.least, times.most, kernels::to_string(layer.problem).c_str());
    std::fflush(stdout);
    rows.push_back(Json::Object{{"name", std::string(kernel->name)},
                                {"median_us", times.median},
                                {"min_us", times.least},
                                {"max_us", times.most},
                                {"estimate_us", kernel->estimate_us(layer.problem, device)}});
  }
  const auto* conv = std::get_if<ConvProblem>(&layer.problem);
  return Json::Object{{"text", kernels::to_string(layer.problem)},
                      {"kind", std::string(conv ? "conv" : "other")},
                      {"problem", conv ? Json(geometry(*conv)) : Json(Json::Object{})},
                      {"count", std::int64_t{layer.count}},
                      {"batch", batch},
                      {"precision", std::string(to_string(precision))},
                      {"macs", macs_of(layer.problem)},
                      {"bytes", least_bytes(layer.problem)},
                      {"kernels", std::move(rows)}};
}

/// NVIDIA H200: 132 multiprocessors, 4800 GB/s, 227 KB of shared memory per block.
DeviceInfo h200() {
  DeviceInfo info;
  info.kind = DeviceKind::cuda;
  info.name = "NVIDIA H200";
  info.sm = 90;
  info.multiprocessors = 132;
  info.memory_bytes = std::size_t{141} << 30;
  info.shared_bytes_per_block = 227 * 1024;
  info.memory_gb_per_s = 4800;
  return info;
}

void print_paper(const Options& options) {
  const DeviceInfo device = h200();
  for (const Precision precision : options.precisions) {
    for (const std::int64_t batch : options.batches) {
      double sum = 0;
      std::printf(
          "| layer | count | kernel | model, us | least bytes, us | share of the model "
          "|\n|---|---:|---|---:|---:|---:|\n");
      for (const Distinct& layer : distinct_layers(options, batch, precision)) {
        const kernels::Kernel* kernel = kernels::select_kernel(layer.problem, device);
        if (!kernel) throw std::runtime_error("no kernel takes " + kernels::to_string(layer.problem));
        const double us = kernel->estimate_us(layer.problem, device);
        sum += us * layer.count;
        std::printf("| %s | %d | %.*s | %.2f | %.2f | %.2f |\n", kernels::to_string(layer.problem).c_str(), layer.count,
                    static_cast<int>(kernel->name.size()), kernel->name.data(), us,
                    least_bytes(layer.problem) / kernels::bytes_per_us(device),
                    least_bytes(layer.problem) / kernels::bytes_per_us(device) / us);
      }
      std::printf("\n%s, batch %lld, %s: %.3f ms by the model, %.0f images/s\n\n", options.network.c_str(),
                  static_cast<long long>(batch), std::string(to_string(precision)).c_str(), sum / 1e3,
                  static_cast<double>(batch) / sum * 1e6);
    }
  }
}

void run(const Options& options) {
  if (options.paper) return print_paper(options);
  const DeviceInfo device = current_device();
  int driver = 0;
  check(cuda_api().cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  Timer timer(device);
  Json::Array problems;
  // Written after every layer: what was measured is kept, whatever comes.
  const auto write = [&] {
    if (options.out.empty()) return;
    const Json result = Json::Object{{"device", Json::Object{{"name", device.name},
                                                             {"sm", std::int64_t{device.sm}},
                                                             {"multiprocessors", std::int64_t{device.multiprocessors}},
                                                             {"memory_gb_per_s", device.memory_gb_per_s},
                                                             {"driver", std::int64_t{driver}}}},
                                     {"command", options.command},
                                     {"problems", problems}};
    std::ofstream out(options.out);
    out << result.dump() << '\n';
    if (!out.flush()) throw std::runtime_error("cannot write " + options.out);
  };
  for (const Precision precision : options.precisions) {
    for (const std::int64_t batch : options.batches) {
      for (const Distinct& layer : distinct_layers(options, batch, precision)) {
        problems.push_back(time_layer(layer, batch, precision, device, timer, options));
        write();
      }
    }
  }
}

}  // namespace
}  // namespace resnet::test

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fputs(resnet::test::usage_text, stdout);
    return 0;
  }
  try {
    resnet::test::run(resnet::test::parse(argc, argv));
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "kernel_bench: %s; see --help\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
