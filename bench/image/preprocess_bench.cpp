// Preprocesses one picture file whenever a line arrives on stdin and answers with the milliseconds that it took.
// compare.py drives it in alternation with Pillow and torchvision.

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "resnet_engine/image.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr,
                 "usage: image_preprocess_bench PICTURE TENSOR.f32  (the last tensor, 1x3x224x224, is written)\n");
    return 2;
  }
  try {
    const resnet::Preprocess preprocess = resnet::Preprocess::preset("torchvision");
    std::vector<float> tensor(3 * 224 * 224);
    const resnet::TensorView view{tensor.data(),           1, 224, 224, 3, resnet::DType::f32, resnet::Layout::nchw,
                                  resnet::MemoryKind::host};
    for (int c; (c = std::getchar()) != EOF;) {
      if (c != '\n') continue;
      const auto start = std::chrono::steady_clock::now();
      resnet::preprocess_file(argv[1], preprocess, false, view);
      const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
      std::printf("%.3f\n", time.count());
      std::fflush(stdout);
    }
    std::FILE* file = std::fopen(argv[2], "wb");
    if (!file || std::fwrite(tensor.data(), sizeof(float), tensor.size(), file) != tensor.size()) return 4;
    return std::fclose(file) == 0 ? 0 : 4;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
