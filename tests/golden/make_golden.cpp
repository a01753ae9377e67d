// Writes the golden files of the current format version: make_golden DIRECTORY.
// Committed once per version; the files of a released version are never written again.
#include <cstdio>
#include <exception>
#include <string>

#include "golden/golden_model.hpp"
#include "support/write_bytes.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_golden DIRECTORY\n", stderr);
    return 2;
  }
  try {
    for (const resnet::DType dtype : {resnet::DType::f32, resnet::DType::f16, resnet::DType::bf16}) {
      const resnet::testing::GoldenModel model(dtype);
      const std::string stem = std::string(argv[1]) + "/tiny_" + std::string(to_string(dtype));
      resnet::test::write_bytes(stem + ".rne", model.file());
      const std::string summary = model.summary_json();
      resnet::test::write_bytes(stem + ".json", std::as_bytes(std::span(summary)));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_golden: %s\n", error.what());
    return 1;
  }
  return 0;
}
