// A run on a GPU takes nothing from the host's heap. CUDA's own calls do nothing here: the emulator's allocate.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/sim/emulator.hpp"
#include "resnet_engine/session.hpp"
#include "support/allocation_counter.hpp"
#include "support/cuda_injector.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet {
namespace {

TEST(CudaAllocations, ARunMakesNone) {
  sim::reset();
  sim::set_devices({{}});
  const test::ScratchFolder folder;
  test::write_tiny_model(folder / "tiny.rne");
  Session session(Model::load(folder / "tiny.rne"), {.device = "cuda:0"});
  const std::vector<float> x(8 * 8 * 3, 0.25f);
  std::vector<float> y(4);
  void *device_x = nullptr, *device_y = nullptr;
  ASSERT_EQ(cuda_api().cudaMalloc(&device_x, x.size() * sizeof(float)), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaMalloc(&device_y, y.size() * sizeof(float)), cudaSuccess);
  const auto from_host = [&] { session.run({x.data(), 1, 8, 8, 3}, {y.data(), 1, 1, 1, 4}); };
  const auto on_device = [&] {
    session.run({device_x, 1, 8, 8, 3, DType::f32, Layout::nhwc, MemoryKind::device},
                {device_y, 1, 1, 1, 4, DType::f32, Layout::nhwc, MemoryKind::device});
  };
  from_host();
  on_device();
  CudaApi quiet = cuda_api();
  quiet.cudaGraphLaunch = [](cudaGraphExec_t, cudaStream_t) { return cudaSuccess; };
  quiet.cudaStreamSynchronize = [](cudaStream_t) { return cudaSuccess; };
  replace_cuda_api(&quiet);
  test::reset_allocations();
  for (int i = 0; i < 3; ++i) {
    from_host();
    on_device();
  }
  const test::Allocations made = test::allocations();
  replace_cuda_api(nullptr);
  EXPECT_EQ(made.news, 0u);
  EXPECT_EQ(made.mallocs, 0u);
  cuda_api().cudaFree(device_x);
  cuda_api().cudaFree(device_y);
}

}  // namespace
}  // namespace resnet
