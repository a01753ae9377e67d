#include "kernels/kernel_run.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <sstream>
#include <stdexcept>

#include "kernels/cuda_api.hpp"
#include "kernels/device_buffer.hpp"
#include "kernels/numbers.hpp"

namespace resnet::test {
namespace {

class Stream {
 public:
  Stream() {
    expect_success(cuda_api().cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~Stream() { cuda_api().cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

DeviceBuffer input(std::string name, const std::vector<std::byte>& bytes, std::size_t offset = 0) {
  DeviceBuffer buffer(std::move(name), bytes.size(), offset);
  buffer.upload(bytes);
  return buffer;
}

std::vector<std::byte> packed_weights(const kernels::Kernel& kernel, const kernels::Problem& problem,
                                      const HostData& data) {
  if (data.weight.empty() || !kernel.weights.bytes) return {};
  std::vector<std::byte> bytes(kernel.weights.bytes(problem));
  kernel.weights.pack(problem, data.weight, bytes.data());
  return bytes;
}

void leave_out(kernels::Operands& operands, const std::string& name) {
  if (name == "x") operands.x = nullptr;
  if (name == "second") operands.second = nullptr;
  if (name == "weight") operands.weight = nullptr;
  if (name == "scale") operands.scale = nullptr;
  if (name == "shift") operands.shift = nullptr;
  if (name == "y") operands.y = nullptr;
  if (name == "indices") operands.indices = nullptr;
  if (name == "workspace") operands.workspace = nullptr;
  if (name == "semaphores") operands.semaphores = nullptr;
}

bool all_are(std::span<const std::byte> bytes, int value) {
  return std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == static_cast<std::byte>(value); });
}

}  // namespace

RunResult run_kernel(const kernels::Kernel& kernel, const kernels::Problem& problem, const DeviceInfo& device,
                     const HostData& data, const RunOptions& options) {
  const CudaApi& api = cuda_api();
  use_device(device);
  use_schedule(options.run, options.truncating_mma);
  take_reports();
  const OperandSizes sizes = operand_sizes(problem);
  const int prefill = options.run % 2 == 0 ? 0xff : 0x7f;

  DeviceBuffer x = input("x", encode(sizes.x_type, data.x), options.offsets.x);
  const std::vector<std::byte> second_bytes = encode(sizes.second_type, data.second);
  DeviceBuffer second;
  if (!options.residual_in_place) second = input("second", second_bytes, options.offsets.second);
  DeviceBuffer weight = input("weight", packed_weights(kernel, problem, data), options.offsets.weight);
  DeviceBuffer scale = input("scale", bytes_of(data.scale), options.offsets.scale);
  DeviceBuffer shift = input("shift", bytes_of(data.shift), options.offsets.shift);
  DeviceBuffer y("y", static_cast<std::size_t>(sizes.y) * size_of(sizes.y_type), options.offsets.y);
  y.fill(prefill);
  if (options.residual_in_place) {
    expect_success(api.cudaMemcpy(y.data(), second_bytes.data(), y.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  DeviceBuffer indices("indices", static_cast<std::size_t>(sizes.indices) * sizeof(std::int32_t));
  indices.fill(prefill);
  const bool supported = static_cast<bool>(kernel.supports(problem, device));
  DeviceBuffer workspace("workspace", supported ? kernel.workspace_bytes(problem, device) : 0,
                         options.offsets.workspace);
  // Under access hooks it stays uninitialised: they tell who reads what nobody wrote.
  if (!has_access_hooks()) workspace.fill(prefill);
  DeviceBuffer semaphores("semaphores", kernels::semaphore_count * sizeof(std::uint32_t));
  semaphores.fill(0);

  kernels::Operands operands;
  operands.x = x.data(), operands.weight = weight.data(), operands.y = y.data(), operands.indices = indices.data();
  operands.second = options.residual_in_place ? y.data() : second.data();
  operands.scale = static_cast<const float*>(scale.data()), operands.shift = static_cast<const float*>(shift.data());
  operands.workspace = workspace.data(), operands.semaphores = static_cast<std::uint32_t*>(semaphores.data());
  leave_out(operands, options.missing);

  // Uploads may still be on their way, and the stream does not wait for them.
  expect_success(api.cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  const Stream stream;
  RunResult result;
  result.matrix_unit = kernel.unit == kernels::Unit::matrix;
  result.error = kernel.launch(problem, operands, {stream.get(), &device});
  if (const cudaError_t error = api.cudaStreamSynchronize(stream.get()); error != cudaSuccess) {
    // Nothing works on the device any more, so that there is no result to judge.
    std::string text = std::string("cudaStreamSynchronize: ") + api.cudaGetErrorString(error);
    for (const std::string& report : take_reports()) text += "\n" + report;
    throw std::runtime_error(text);
  }
  for (const DeviceBuffer* buffer : {&x, &second, &weight, &scale, &shift, &y, &indices, &workspace, &semaphores}) {
    if (std::string damage = buffer->check(); !damage.empty()) result.faults.push_back(std::move(damage));
  }
  if (!all_are(semaphores.download(), 0)) result.faults.push_back("semaphores are not zero after the launch");
  for (std::string& report : take_reports()) result.faults.push_back(std::move(report));
  result.y = y.download();
  result.untouched = options.residual_in_place ? result.y == second_bytes : all_are(result.y, prefill);
  const std::vector<std::byte> index_bytes = indices.download();
  result.indices.resize(static_cast<std::size_t>(sizes.indices));
  if (!index_bytes.empty()) std::memcpy(result.indices.data(), index_bytes.data(), index_bytes.size());
  return result;
}

std::string case_text(const kernels::Kernel& kernel, const kernels::Problem& problem, DataKind kind,
                      const DeviceInfo& device) {
  std::ostringstream text;
  text << kernel.name << ": " << kernels::to_string(problem) << ", " << to_string(kind) << ", sm_" << device.sm
       << ", seed " << options().seed;
  return text.str();
}

}  // namespace resnet::test
