// ONNX (.onnx): the file describes its layers itself.
#include "convert/importers/importer.hpp"

#include "convert/importers/onnx/network.hpp"

namespace resnet::convert {
namespace {

Imported read(const SourceFiles& files) {
  const onnx::Model model = onnx::parse(files);
  return onnx::Network(model).run();
}

}  // namespace

const Importer onnx_importer = {"ONNX", onnx::sniff, read};

}  // namespace resnet::convert
