// This engine's side of bench/peers: keeps a session ready and times runs on request, so that measurements of different
// engines can alternate. One command per line on stdin, one answer per line on stdout:
//
//   infer BATCH RUNS        milliseconds of each run
//   output BATCH FILE       writes the output, raw float32, and answers "ok"
//   preprocess IMAGE RUNS   milliseconds of each decode + resize + crop + normalise, from the file to the tensor
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "resnet_engine/image.hpp"
#include "resnet_engine/model.hpp"
#include "resnet_engine/session.hpp"

namespace {

double milliseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

class Worker {
 public:
  Worker(const std::string& model_path, int threads, const std::string& precision, const std::string& input_path)
      : model_(resnet::Model::load(model_path)), session_(model_, options(threads, precision)) {
    const auto size = model_.input_size();
    input_.data = nullptr;
    input_.h = size.height, input_.w = size.width, input_.c = size.channels;
    input_.layout = resnet::Layout::nchw;
    std::ifstream in(input_path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    values_.resize(bytes.size() / sizeof(float));
    bytes.copy(reinterpret_cast<char*>(values_.data()), values_.size() * sizeof(float));
    images_ = static_cast<std::int64_t>(values_.size()) / (input_.h * input_.w * input_.c);
  }

  std::string answer(const std::string& command) {
    std::istringstream words(command);
    std::string verb, file;
    std::int64_t batch = 1;
    int runs = 1;
    words >> verb;
    if (verb == "infer" && words >> batch >> runs) return timed(runs, [&] { run(batch); });
    if (verb == "output" && words >> batch >> file) {
      run(batch);
      std::ofstream(file, std::ios::binary)
          .write(reinterpret_cast<const char*>(output_.data()),
                 static_cast<std::streamsize>(output_.size() * sizeof(float)));
      return "ok";
    }
    if (verb == "preprocess" && words >> file >> runs) {
      const auto preprocess = resnet::Preprocess::preset("torchvision");
      std::vector<float> tensor(static_cast<std::size_t>(preprocess.crop_h * preprocess.crop_w * 3));
      resnet::TensorView view{tensor.data(), 1, preprocess.crop_h, preprocess.crop_w, 3};
      view.layout = resnet::Layout::nchw;
      return timed(runs, [&] { resnet::preprocess_file(file, preprocess, false, view); });
    }
    return "error: unknown command";
  }

 private:
  static resnet::SessionOptions options(int threads, const std::string& precision) {
    resnet::SessionOptions options;
    options.device = "cpu";
    options.threads = threads;
    options.precision = precision == "bf16" ? resnet::Precision::bf16 : resnet::Precision::fp32;
    return options;
  }

  void run(std::int64_t batch) {
    if (batch > images_) throw std::runtime_error("the input file holds fewer images than that");
    input_.n = batch;
    resnet::ConstTensorView input{values_.data(), batch, input_.h, input_.w, input_.c, input_.dtype, input_.layout};
    output_.resize(static_cast<std::size_t>(batch * model_.output_size()));
    session_.run(input, resnet::TensorView{output_.data(), batch, 1, 1, model_.output_size()});
  }

  template <class Work>
  static std::string timed(int runs, Work&& work) {
    std::ostringstream times;
    for (int i = 0; i < runs; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      work();
      times << milliseconds_since(begin) << ' ';
    }
    return times.str();
  }

  resnet::Model model_;
  resnet::Session session_;
  resnet::TensorView input_;
  std::vector<float> values_, output_;
  std::int64_t images_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: engine_worker MODEL.rne THREADS fp32|bf16 INPUT.f32 (N x C x H x W)\n";
    return 2;
  }
  try {
    Worker worker(argv[1], std::stoi(argv[2]), argv[3], argv[4]);
    std::cout << "ready" << std::endl;
    for (std::string line; std::getline(std::cin, line);) std::cout << worker.answer(line) << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "engine_worker: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
