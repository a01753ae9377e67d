// Times every kernel of the catalog on every layer of a network, or on a list of problems that only move bytes: one
// CUDA graph of many launches, device events around it, median of several rounds. Inputs, residuals, outputs and
// filters rotate over enough sets to leave the L2 cache; scale, shift, indices, workspace and semaphores do not. Prints
// a table, writes JSON.

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
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

  --network NAME      resnet18, resnet34, resnet50 (default), resnet101, resnet152, resnext50_32x4d, wide_resnet50_2;
                      memory_bound: a list of problems that move bytes, and the rate of a plain copy
  --batch LIST        default 1,32,256
  --precision LIST    fp32, tf32, fp16, bf16 (default bf16)
  --size N            height and width of the input (default 224)
  --kernel TEXT       only kernels whose name contains it
  --rounds N          rounds per kernel, the median counts (default 7)
  --calls N           launches per round (default: what fills 3 ms by the paper model, 4 to 200)
  --out FILE          JSON, rewritten after every kernel
  --resume            keep what FILE holds, kernels that did not return included, and time the rest
  --limit SECONDS     end the program when one kernel takes longer (default 20)
  --paper             no GPU: the kernel that selection takes for each layer of an H200, and its paper model of the time

Exit status 0; 1 for an error; 2 for wrong usage; 3 when a kernel left an error that stays with the process, or by SIGALRM
when one took too long: start again with --resume.
)";

/// A kernel has left an error that every later CUDA call of this process would repeat.
struct StickyError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr std::string_view memory_bound = "memory_bound";

struct Options {
  std::string network = "resnet50", kernel, out, command;
  std::vector<std::int64_t> batches = {1, 32, 256};
  std::vector<Precision> precisions = {Precision::bf16};
  std::int64_t size = 224;
  int rounds = 7, calls = 0, limit_s = 20;
  bool paper = false, resume = false;
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
    if (option == "--resume") {
      options.resume = true;
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
    } else if (option == "--limit") {
      options.limit_s = static_cast<int>(positive(value, option));
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

/// 2^20 normal values of a type, the same ones each time.
const std::vector<std::byte>& random_block(DType type) {
  static std::map<DType, std::vector<std::byte>> blocks;
  std::vector<std::byte>& block = blocks[type];
  if (!block.empty()) return block;
  constexpr std::size_t elements = std::size_t{1} << 20;
  std::mt19937_64 engine(1);
  std::normal_distribution<float> normal;
  block.resize(elements * size_of(type));
  for (std::size_t i = 0; i < elements; ++i) {
    const float value = normal(engine);
    if (type == DType::f32) {
      std::memcpy(block.data() + 4 * i, &value, 4);
    } else if (type == DType::u8) {
      block[i] = static_cast<std::byte>(engine() & 0xffu);
    } else {
      const std::uint16_t bits = type == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
      std::memcpy(block.data() + 2 * i, &bits, 2);
    }
  }
  return block;
}

/// As many bytes of random_block() as asked for; long operands repeat it.
Memory random_memory(std::size_t bytes, DType type) {
  const std::vector<std::byte>& block = random_block(type);
  Memory memory(bytes);
  auto* const data = static_cast<std::byte*>(memory.data());
  std::size_t done = std::min(bytes, block.size());
  check(cuda_api().cudaMemcpy(data, block.data(), done, cudaMemcpyHostToDevice), "cudaMemcpy");
  while (done < bytes) {
    const std::size_t count = std::min(done, bytes - done);
    check(cuda_api().cudaMemcpy(data + done, data, count, cudaMemcpyDeviceToDevice), "cudaMemcpy");
    done += count;
  }
  return memory;
}

/// Operands of one problem, in as many sets as fill the L2 cache twice together with the filters. Problems of a few KB
/// would need more sets than launches are worth: `most_sets` of them stay in the cache, and the JSON says so by its
/// bytes.
class OperandSets {
 public:
  OperandSets(const kernels::Problem& problem, std::size_t l2_bytes, int calls) : sizes_(operand_sizes(problem)) {
    set_bytes_ = bytes(sizes_.x, sizes_.x_type) + bytes(sizes_.second, sizes_.second_type) +
                 bytes(sizes_.y, sizes_.y_type) + bytes(sizes_.weight, sizes_.x_type);
    const std::size_t most =
        calls > 0 ? std::clamp<std::size_t>(static_cast<std::size_t>(calls), 2, most_sets) : most_sets;
    const std::size_t sets = std::clamp<std::size_t>(2 * l2_bytes / std::max<std::size_t>(set_bytes_, 1) + 1, 2, most);
    for (std::size_t i = 0; i < sets; ++i) {
      x_.push_back(random_memory(bytes(sizes_.x, sizes_.x_type), sizes_.x_type));
      second_.push_back(random_memory(bytes(sizes_.second, sizes_.second_type), sizes_.second_type));
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
  std::size_t set_bytes() const { return set_bytes_; }

 private:
  static constexpr std::size_t most_sets = 512;
  static std::size_t bytes(std::int64_t elements, DType type) {
    return static_cast<std::size_t>(elements) * size_of(type);
  }

  OperandSizes sizes_;
  std::size_t set_bytes_ = 0;  ///< of one set with its filter
  std::vector<Memory> x_, second_, y_;
  Memory scale_ = random_memory(bytes(sizes_.scale, DType::f32), DType::f32);
  Memory shift_ = random_memory(bytes(sizes_.shift, DType::f32), DType::f32);
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
    const std::vector<Memory> weights = packed_weights(kernel, problem, sets);
    const auto launch = [&](std::size_t set) {
      kernels::Operands operands = sets.operands(set);
      operands.weight = weights[set % weights.size()].data();
      operands.workspace = workspace.data();
      operands.semaphores = static_cast<std::uint32_t*>(semaphores_.data());
      check(kernel.launch(problem, operands, {stream_, &device_}), std::string(kernel.name).c_str());
    };
    check(api.cudaDeviceSynchronize(), "cudaDeviceSynchronize");  // uploads; no stream waits for them
    launch(0);
    check(api.cudaStreamSynchronize(stream_), std::string(kernel.name).c_str());

    const double estimate = kernel.estimate_us(problem, device_);
    int calls = options.calls;
    if (calls == 0) {
      calls = std::clamp(static_cast<int>(3000 / std::max(estimate, 1.0)), 4, 200);
      calls = std::max(calls, static_cast<int>(sets.count()));  // else the rest of the sets would not be visited
    }
    return time_graph(
        calls, options.rounds, [&](int i) { launch(static_cast<std::size_t>(i) % sets.count()); },
        std::string(kernel.name));
  }

  /// Bytes per us that a copy on the device moves, read and written bytes together.
  double copy_bytes_per_us(const Options& options) {
    const std::size_t bytes = 16 * std::max<std::size_t>(device_.l2_bytes, 1 << 20);
    const Memory from = random_memory(bytes, DType::f32), to(bytes);
    check(cuda_api().cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    const int calls = options.calls > 0 ? options.calls : 8;
    const auto copy = [&](int) {
      check(cuda_api().cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, stream_),
            "cudaMemcpyAsync");
    };
    return 2.0 * static_cast<double>(bytes) / time_graph(calls, options.rounds, copy, "the copy").median;
  }

 private:
  template <class Call>
  Times time_graph(int calls, int rounds, const Call& call, const std::string& what) {
    const CudaApi& api = cuda_api();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    check(api.cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      for (int i = 0; i < calls; ++i) call(i);
    } catch (...) {
      static_cast<void>(api.cudaStreamEndCapture(stream_, &graph));
      throw;
    }
    check(api.cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    check(api.cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    std::vector<double> times;
    for (int round = -1; round < rounds; ++round) {  // round -1 warms up
      check(api.cudaEventRecord(begin_, stream_), "cudaEventRecord");
      check(api.cudaGraphLaunch(executable, stream_), "cudaGraphLaunch");
      check(api.cudaEventRecord(end_, stream_), "cudaEventRecord");
      check(api.cudaEventSynchronize(end_), what.c_str());
      float milliseconds = 0;
      check(api.cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
      if (round >= 0) times.push_back(1e3 * static_cast<double>(milliseconds) / calls);
    }
    check(api.cudaGraphExecDestroy(executable), "cudaGraphExecDestroy");
    check(api.cudaGraphDestroy(graph), "cudaGraphDestroy");
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times.front(), times.back()};
  }

  /// One copy of the packed filters per operand set; one that is empty where there are none.
  static std::vector<Memory> packed_weights(const kernels::Kernel& kernel, const kernels::Problem& problem,
                                            const OperandSets& sets) {
    std::vector<std::byte> packed;
    if (kernel.weights.pack && sets.weights() != 0) {
      const std::vector<std::byte>& block = random_block(DType::f32);
      std::vector<float> values(static_cast<std::size_t>(sets.weights()));
      for (std::size_t i = 0; i < values.size(); ++i) {
        std::memcpy(&values[i], block.data() + 4 * i % block.size(), 4);
        values[i] *= 0.05f;
      }
      packed.resize(kernel.weights.bytes(problem));
      kernel.weights.pack(problem, values, packed.data());
    }
    std::vector<Memory> copies;
    if (packed.empty()) copies.emplace_back(0);
    while (!packed.empty() && copies.size() < sets.count()) {
      const Memory& memory = copies.emplace_back(packed.size());
      check(cuda_api().cudaMemcpy(memory.data(), packed.data(), packed.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
    }
    return copies;
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

/// What moves bytes and multiplies little, at the sizes where networks have it; `size` is 224 for theirs.
std::vector<Distinct> memory_bound_problems(std::int64_t N, std::int64_t size, const Types& types) {
  const std::int64_t quarter = std::max<std::int64_t>(size / 4, 1), last = std::max<std::int64_t>(size / 32, 1);
  std::vector<Distinct> list;
  const auto add = [&](const kernels::Problem& problem) { list.push_back({problem, 1}); };
  PointwiseProblem pointwise{PointwiseKind::add, N, quarter * quarter, 256, types.in, types.in, {}};
  pointwise.epilogue.activation.kind = ActivationKind::relu;
  add(pointwise);
  pointwise.kind = PointwiseKind::copy, pointwise.epilogue.scale = pointwise.epilogue.shift = true;
  add(pointwise);
  pointwise.kind = PointwiseKind::multiply_channels, pointwise.epilogue = {};
  add(pointwise);
  ConvertProblem convert;
  convert.in.dims = convert.out.dims = {N, size, size, 3};
  convert.in.dtype = DType::u8, convert.out.dtype = types.in, convert.out.c_padded = 8, convert.scale_shift = true;
  add(convert);
  convert = {};
  convert.in.dims = convert.out.dims = {N, quarter, quarter, 256};
  convert.in.dtype = types.in, convert.out.dtype = DType::f32;
  add(convert);
  convert.out.layout = LayoutId::nchw;
  add(convert);
  PadProblem pad{N, size, size, 8, 3, 3, 3, 3, false, types.in};
  add(pad);
  PoolProblem pool;
  pool.N = N, pool.H = pool.W = 2 * quarter, pool.C = 64, pool.R = pool.S = 3, pool.stride_h = pool.stride_w = 2;
  pool.P = pool.Q = quarter, pool.pad_top = pool.pad_left = pool.pad_bottom = pool.pad_right = 1;
  pool.dtype = types.in;
  add(pool);
  add(AdaptivePoolProblem{N, last, last, 2048, 1, 1, types.in, types.in});
  add(SoftmaxProblem{N, 1000, DType::f32, DType::f32});
  add(TopKProblem{N, 1000, 5, DType::f32});
  PoolDenseProblem both;
  both.N = N, both.H = both.W = last, both.C = 2048, both.K = 1000, both.epilogue.shift = true;
  both.in = both.out = types.in, both.precision = types.precision;
  if (N <= 8) add(both);
  const auto conv = [&](std::int64_t groups) {
    const ConvShape shape{
        .N = N, .H = quarter, .W = quarter, .C = 128, .K = 128, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = groups};
    add(with_types(make_conv(shape, {.scale = true, .shift = true, .activation = {ActivationKind::relu}}), types));
  };
  conv(32);
  conv(128);
  return list;
}

std::vector<Distinct> distinct_layers(const Options& options, std::int64_t batch, Precision precision) {
  if (options.network == memory_bound) return memory_bound_problems(batch, options.size, types_of(precision));
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

/// An error that the next CUDA call repeats ends the process's CUDA.
bool is_sticky() {
  static_cast<void>(cuda_api().cudaGetLastError());
  return cuda_api().cudaDeviceSynchronize() != cudaSuccess;
}

/// The results of a run, in the file after every change.
class Results {
 public:
  Results(const Options& options, const DeviceInfo& device) : out_(options.out), limit_s_(options.limit_s) {
    int driver = 0;
    check(cuda_api().cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    result_.set("device", Json::Object{{"name", device.name},
                                       {"sm", std::int64_t{device.sm}},
                                       {"multiprocessors", std::int64_t{device.multiprocessors}},
                                       {"memory_gb_per_s", device.memory_gb_per_s},
                                       {"l2_bytes", device.l2_bytes},
                                       {"driver", std::int64_t{driver}}});
    result_.set("command", options.command);
    if (options.resume) read();
  }

  const Json* find(std::string_view key) const { return result_.find(key); }
  void set(const std::string& key, Json value) {
    result_.set(key, std::move(value));
    write();
  }
  bool failed() const { return failed_; }

  /// Runs `time` for one kernel of one problem unless its result is known. Before that, the file says that it did not
  /// return: this stands when the process dies.
  template <class Time>
  void add(const Json& head, std::string_view kernel, const Time& time) {
    Json::Array& rows = kernels_of(head);
    const auto known = [&](const Json& row) { return row.at("name").as_string() == kernel; };
    if (std::any_of(rows.begin(), rows.end(), known)) return;
    const auto failure = [&](const std::string& error) { return Json::Object{{"name", kernel}, {"error", error}}; };
    rows.push_back(failure("did not return"));
    write();
    alarm(static_cast<unsigned>(limit_s_));
    bool sticky = false;
    try {
      rows.back() = time();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "kernel_bench: %.*s: %s: %s\n", static_cast<int>(kernel.size()), kernel.data(),
                   head.at("text").as_string().c_str(), error.what());
      rows.back() = failure(error.what());
      failed_ = true;
      sticky = is_sticky();
    }
    alarm(0);
    write();
    if (sticky) throw StickyError("the error stays; start again with --resume");
  }

 private:
  struct Entry {
    Json head;
    Json::Array kernels;
  };

  Json::Array& kernels_of(const Json& head) {
    const auto same = [&](const Entry& entry) {
      return entry.head.at("text").dump() == head.at("text").dump() &&
             entry.head.at("precision").dump() == head.at("precision").dump();
    };
    const auto found = std::find_if(entries_.begin(), entries_.end(), same);
    return found != entries_.end() ? found->kernels : entries_.emplace_back(Entry{head, {}}).kernels;
  }

  void read() {
    std::ifstream in(out_);
    if (!in) return;
    const Json old = parse_json(std::string(std::istreambuf_iterator<char>(in), {}), out_);
    if (const Json* const copy = old.find("copy_gb_per_s")) result_.set("copy_gb_per_s", *copy);
    for (const Json& problem : old.at("problems").as_array()) {
      Json head = Json::object();
      for (const auto& [key, value] : problem.as_object()) {
        if (key != "kernels") head.set(key, value);
      }
      Json::Array& rows = entries_.emplace_back(Entry{std::move(head), problem.at("kernels").as_array()}).kernels;
      failed_ = failed_ || std::any_of(rows.begin(), rows.end(), [](const Json& row) { return row.find("error"); });
    }
  }

  void write() {
    if (out_.empty()) return;
    Json result = result_;
    Json::Array problems;
    for (const Entry& entry : entries_) problems.push_back(Json(entry.head).set("kernels", entry.kernels));
    result.set("problems", std::move(problems));
    // Renamed into place: a process that is killed leaves a whole file.
    const std::string unfinished = out_ + ".new";
    std::ofstream out(unfinished);
    out << result.dump() << '\n';
    out.close();
    if (!out || std::rename(unfinished.c_str(), out_.c_str()) != 0) throw std::runtime_error("cannot write " + out_);
  }

  std::string out_;
  int limit_s_;
  Json result_ = Json::object();
  std::vector<Entry> entries_;
  bool failed_ = false;
};

void time_layer(const Distinct& layer, std::int64_t batch, Precision precision, const DeviceInfo& device, Timer& timer,
                const Options& options, Results& results) {
  const auto* conv = std::get_if<ConvProblem>(&layer.problem);
  Json head = Json::Object{{"text", kernels::to_string(layer.problem)},
                           {"kind", std::string(conv ? "conv" : "other")},
                           {"problem", conv ? Json(geometry(*conv)) : Json(Json::Object{})},
                           {"count", std::int64_t{layer.count}},
                           {"batch", batch},
                           {"precision", std::string(to_string(precision))},
                           {"macs", macs_of(layer.problem)},
                           {"bytes", least_bytes(layer.problem)}};
  std::optional<OperandSets> sets;
  for (const kernels::Kernel* kernel : kernels::catalog()) {
    if (kernel->name.find(options.kernel) == std::string_view::npos) continue;
    if (!kernel->supports(layer.problem, device)) continue;
    results.add(head, kernel->name, [&]() -> Json {
      if (!sets) sets.emplace(layer.problem, device.l2_bytes, options.calls);
      const Times times = timer.time(*kernel, layer.problem, *sets, options);
      std::printf("%-16.*s %9.2f us (%.2f to %.2f)  %s\n", static_cast<int>(kernel->name.size()), kernel->name.data(),
                  times.median, times.least, times.most, kernels::to_string(layer.problem).c_str());
      std::fflush(stdout);
      return Json::Object{{"name", std::string(kernel->name)},
                          {"median_us", times.median},
                          {"min_us", times.least},
                          {"max_us", times.most},
                          {"estimate_us", kernel->estimate_us(layer.problem, device)},
                          {"sets", sets->count()},
                          {"set_bytes", sets->set_bytes()}};
    });
  }
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
  Timer timer(device);
  Results results(options, device);
  if (options.network == memory_bound && !results.find("copy_gb_per_s")) {
    const double rate = timer.copy_bytes_per_us(options);
    results.set("copy_gb_per_s", rate / 1e3);
    std::printf("copy %.0f GB/s, read and written\n", rate / 1e3);
  }
  for (const Precision precision : options.precisions) {
    for (const std::int64_t batch : options.batches) {
      for (const Distinct& layer : distinct_layers(options, batch, precision))
        time_layer(layer, batch, precision, device, timer, options, results);
    }
  }
  if (results.failed()) throw std::runtime_error("not every kernel ran");
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
  } catch (const resnet::test::StickyError& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
