// classify MODEL.rne PICTURE: the five best labels.
#include <cstdio>
#include <exception>
#include <resnet_engine/session.hpp>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: classify MODEL.rne PICTURE\n");
    return 2;
  }
  try {
    const auto model = resnet::Model::load(argv[1]);  // once; threads may share it
    resnet::Session session(model);                   // one per thread
    const auto& preprocess = model.preprocess().value();

    const auto image = resnet::load_image(argv[2], {.color = preprocess.color});
    const auto [height, width] = resnet::preprocessed_size(image, preprocess);
    const auto channels = model.input_size().channels;
    std::vector<float> pixels(static_cast<std::size_t>(height * width * channels));
    resnet::preprocess_image(image, preprocess, {pixels.data(), 1, height, width, channels});

    std::vector<float> output(static_cast<std::size_t>(model.output_size()));
    session.run({pixels.data(), 1, height, width, channels}, {output.data(), 1, 1, 1, model.output_size()});
    for (const auto& best : resnet::top_k(model, output, 5)) {
      std::printf("%6.2f%%  %s\n", 100 * best.score, best.label.c_str());
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
