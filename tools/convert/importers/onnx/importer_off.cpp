// Compiled in place of the other files of this folder in a build without ONNX's protobuf classes.
#include "base/check.hpp"
#include "convert/importers/importer.hpp"
#include "convert/importers/onnx/model.hpp"

namespace resnet::convert {
namespace {

Imported refuse(const SourceFiles& files) {
  fail(ErrorCode::import_failed, "is an ONNX file, and this resnet_convert was built without ONNX's protobuf classes",
       files.main.name(), "install libonnx-dev and libprotobuf-dev, configure and build again");
}

}  // namespace

const Importer onnx_importer = {"ONNX", onnx::sniff, refuse};

}  // namespace resnet::convert
