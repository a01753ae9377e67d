#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/launch.hpp"
#include "kernels/sim/emulator.hpp"

/// Helpers of the emulator's tests.
namespace resnet::sim {

/// Device memory that a test fills and reads.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    void* data = nullptr;
    EXPECT_EQ(cuda_api().cudaMalloc(&data, count * sizeof(T)), cudaSuccess);
    data_ = static_cast<T*>(data);
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    EXPECT_EQ(cuda_api().cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    EXPECT_EQ(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
  }
  ~DeviceArray() { cuda_api().cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> result(count_);
    EXPECT_EQ(cuda_api().cudaMemcpy(result.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return result;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

/// Starts every test with one default device and a given seed.
class SimTest : public testing::Test {
 protected:
  void SetUp() override {
    set_devices({PretendDevice{}});
    set_schedule({});
  }
  void TearDown() override {
    for (const Report& report : take_reports()) ADD_FAILURE() << "unexpected: " << to_string(report);
    reset();
  }
};

inline std::string texts(const std::vector<Report>& reports) {
  std::string all;
  for (const Report& report : reports) all += to_string(report) + "\n";
  return all;
}

}  // namespace resnet::sim
