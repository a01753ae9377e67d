#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.hpp"
#include "convert/importers/importer.hpp"

namespace resnet::convert {

std::span<const Importer* const> importer_list() {
  static constexpr std::array<const Importer*, 8> list = {
      &keras_zip_importer,     // before the other zip files: the first entry decides
      &torch_zip_importer,     //
      &torch_legacy_importer,  //
      &torch_tar_importer,     //
      &keras_h5_importer,      //
      &sharded_importer,       //
      &safetensors_importer,   //
      &onnx_importer,          // last: it has no magic at all
  };
  return list;
}

bool starts_with(std::span<const std::byte> head, std::string_view magic) {
  return head.size() >= magic.size() && std::memcmp(head.data(), magic.data(), magic.size()) == 0;
}

const Importer& find_importer(const SourceFile& file) {
  const auto head = file.read(0, std::min<std::uint64_t>(file.size(), sniff_bytes));
  for (const Importer* importer : importer_list()) {
    if (importer->sniff(head, file.size())) return *importer;
  }
  if (file.size() == 0) fail(ErrorCode::import_failed, "the file is empty", file.name(), "download or copy it again");
  fail(ErrorCode::import_failed, "is no PyTorch (.pth, .pt), safetensors, Keras (.keras, .h5) or ONNX file",
       file.name(), "save a state dict with torch.save(model.state_dict(), \"model.pth\") and convert that");
}

}  // namespace resnet::convert
