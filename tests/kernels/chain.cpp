#include "kernels/chain.hpp"

#include <chrono>
#include <cmath>
#include <ctime>
#include <stdexcept>

#include "kernels/cuda_api.hpp"
#include "kernels/device_buffer.hpp"
#include "kernels/numbers.hpp"

namespace resnet::test {
namespace {

const kernels::Kernel* cheapest(const kernels::Problem& problem, const DeviceInfo& device, std::string_view text) {
  const kernels::Kernel* best = nullptr;
  for (const kernels::Kernel* kernel : kernels::catalog()) {
    if (kernel->name.find(text) == std::string_view::npos || !kernel->supports(problem, device)) continue;
    if (!best || kernel->estimate_us(problem, device) < best->estimate_us(problem, device)) best = kernel;
  }
  return best;
}

/// Weights of -1, 0, 1; scales that bring sums back to a few units.
void integer_weights(HostData& data, const kernels::Problem& problem, std::uint64_t seed, std::uint64_t step) {
  for (std::size_t i = 0; i < data.weight.size(); ++i)
    data.weight[i] = static_cast<float>(random_integer(seed, 10 + step, i, -1, 1));
  const double deviation = 3 * std::sqrt(2.0 / 3 * static_cast<double>(sum_length(problem)));
  const float scale = std::ldexp(1.0f, 1 - static_cast<int>(std::lround(std::log2(deviation))));
  for (float& value : data.scale) value = scale;
  for (std::size_t k = 0; k < data.shift.size(); ++k)
    data.shift[k] = static_cast<float>(random_integer(seed, 500 + step, k, -2, 2));
}

void round_all(std::vector<double>& values, DType type) {
  for (double& value : values) value = static_cast<double>(rounded(type, value));
}

std::vector<double> as_doubles(const std::vector<float>& values) { return {values.begin(), values.end()}; }

}  // namespace

KernelChoice selected() {
  return
      [](const kernels::Problem& problem, const DeviceInfo& device) { return kernels::select_kernel(problem, device); };
}

KernelChoice preferring(std::string_view text) {
  return [text = std::string(text)](const kernels::Problem& problem, const DeviceInfo& device) {
    const kernels::Kernel* const kernel = cheapest(problem, device, text);
    return kernel ? kernel : kernels::select_kernel(problem, device);
  };
}

Chain::Chain(std::vector<FusedStep> steps, const Types& types, bool integers, std::uint64_t seed)
    : steps_(std::move(steps)) {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    Types own = types;
    const EpilogueProblem* const epilogue = epilogue_of(steps_[i].problem);
    const bool residual = epilogue && epilogue->residual;  // has the output's type
    if (i + 1 == steps_.size() && !residual) own.out = DType::f32;
    steps_[i].problem = with_types(steps_[i].problem, own);
    // x and the residual come from other steps; only the first step's x is an input.
    HostData data = make_data(steps_[i].problem, integers ? DataKind::signed_integers : DataKind::real, seed + i);
    if (integers && !data.weight.empty()) integer_weights(data, steps_[i].problem, seed, i);
    if (i != 0) data.x.clear();
    data.second.clear();
    data_.push_back(std::move(data));
  }
}

std::vector<double> Chain::exact(bool rounded_steps) const {
  const std::vector<double> input = as_doubles(data_.front().x);
  std::vector<std::vector<double>> values;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const FusedStep& step = steps_[i];
    const auto value = [&](int index) -> const std::vector<double>& {
      return index < 0 ? input : values[static_cast<std::size_t>(index)];
    };
    const Types types = types_of(step.problem);
    const bool tf32 = rounded_steps && types.precision == Precision::tf32 && !data_[i].weight.empty();
    std::vector<double> x = value(step.input);
    std::vector<float> weight = data_[i].weight;
    if (tf32) {
      for (double& v : x) v = static_cast<double>(rounded_to_tf32(static_cast<float>(v)));
      for (float& v : weight) v = rounded_to_tf32(v);
    }
    ExactOperands operands{x, {}, weight, data_[i].scale, data_[i].shift};
    if (step.residual >= 0) operands.second = value(step.residual);
    if (step.residual == -1 && epilogue_of(step.problem) && epilogue_of(step.problem)->residual)
      operands.second = input;
    values.push_back(exact_result(step.problem, operands, host_threads()).y);
    if (rounded_steps) round_all(values.back(), types.out);
  }
  return values.back();
}

Chain::Run Chain::run(const DeviceInfo& device, const KernelChoice& choose) const {
  const CudaApi& api = cuda_api();
  use_device(device);
  take_reports();
  Run result;
  std::vector<const kernels::Kernel*> chosen;
  std::vector<DeviceBuffer> constants, values, workspaces;
  std::vector<kernels::Operands> operands(steps_.size());
  DeviceBuffer semaphores("semaphores", kernels::semaphore_count * sizeof(std::uint32_t));
  semaphores.fill(0);
  const auto constant = [&](const std::string& name, const std::vector<std::byte>& bytes) {
    DeviceBuffer buffer(name, bytes.size());
    if (!bytes.empty()) buffer.upload(bytes);
    constants.push_back(std::move(buffer));
    return constants.back().data();
  };
  const void* const input = constant("input", encode(operand_sizes(steps_.front().problem).x_type, data_.front().x));
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const FusedStep& step = steps_[i];
    const kernels::Kernel* const kernel = choose(step.problem, device);
    if (!kernel) throw std::runtime_error("no kernel for " + kernels::to_string(step.problem));
    chosen.push_back(kernel);
    result.kernels.emplace_back(kernel->name);
    const OperandSizes sizes = operand_sizes(step.problem);
    std::vector<std::byte> weight;
    if (!data_[i].weight.empty()) {
      weight.resize(kernel->weights.bytes(step.problem));
      kernel->weights.pack(step.problem, data_[i].weight, weight.data());
    }
    kernels::Operands& own = operands[i];
    own.weight = constant(step.name + ".weight", weight);
    own.scale = static_cast<const float*>(constant(step.name + ".scale", encode(DType::f32, data_[i].scale)));
    own.shift = static_cast<const float*>(constant(step.name + ".shift", encode(DType::f32, data_[i].shift)));
    values.emplace_back(step.name, static_cast<std::size_t>(sizes.y) * size_of(sizes.y_type));
    values.back().fill(0xff);
    own.y = values.back().data();
    workspaces.emplace_back("workspace of " + step.name, kernel->workspace_bytes(step.problem, device));
    own.workspace = workspaces.back().data();
    own.semaphores = static_cast<std::uint32_t*>(semaphores.data());
    const auto value = [&](int index) { return index < 0 ? input : values[static_cast<std::size_t>(index)].data(); };
    own.x = value(step.input);
    if (epilogue_of(step.problem) && epilogue_of(step.problem)->residual) own.second = value(step.residual);
  }

  cudaStream_t stream = nullptr;
  expect_success(api.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  // Uploads may still be on their way, and the stream does not wait for them.
  expect_success(api.cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  const std::clock_t cpu_start = std::clock();
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < steps_.size(); ++i)
    expect_success(chosen[i]->launch(steps_[i].problem, operands[i], {stream, &device}), steps_[i].name.c_str());
  expect_success(api.cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.cpu_seconds = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  expect_success(api.cudaStreamDestroy(stream), "cudaStreamDestroy");
  for (const std::vector<DeviceBuffer>* buffers : {&constants, &values, &workspaces}) {
    for (const DeviceBuffer& buffer : *buffers) {
      if (std::string damage = buffer.check(); !damage.empty()) result.faults.push_back(std::move(damage));
    }
  }
  for (std::string& report : take_reports()) result.faults.push_back(std::move(report));
  result.y = decode(types_of(steps_.back().problem).out, values.back().download());
  return result;
}

std::vector<FusedStep> block_of(std::string_view network, std::string_view block, std::int64_t batch,
                                std::int64_t size) {
  const std::vector<FusedStep> all = fused_network(network, batch, size);
  const std::string prefix = std::string(block) + ".";
  std::vector<FusedStep> steps;
  std::vector<int> moved(all.size(), -1);  // everything before the block is its input
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].name.starts_with(prefix)) continue;
    FusedStep step = all[i];
    step.input = step.input < 0 ? -1 : moved[static_cast<std::size_t>(step.input)];
    step.residual = step.residual < 0 ? -1 : moved[static_cast<std::size_t>(step.residual)];
    moved[i] = static_cast<int>(steps.size());
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace resnet::test
