// Compiled in place of torch_zip.cpp in a build without libzip.
#include "base/check.hpp"
#include "convert/importers/importer.hpp"

namespace resnet::convert {
namespace {

Imported refuse(const SourceFiles& files) {
  fail(ErrorCode::import_failed, "is a zip file, and this resnet_convert was built without libzip", files.main.name(),
       "install libzip-dev, configure and build again, or save the weights as safetensors");
}

}  // namespace

const Importer keras_zip_importer = {"Keras archive", [](std::span<const std::byte>, std::uint64_t) { return false; },
                                     refuse};

const Importer torch_zip_importer = {
    "PyTorch zip",
    [](std::span<const std::byte> head, std::uint64_t) { return starts_with(head, std::string_view("PK\3\4", 4)); },
    refuse,
};

}  // namespace resnet::convert
