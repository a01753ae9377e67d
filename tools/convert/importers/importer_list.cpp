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

namespace {

/// What people have in place of a weight file, and the way out.
struct Mistake {
  std::size_t offset;
  std::string_view magic, what, next;
};
constexpr Mistake mistakes[] = {
    {0, "version https://git-lfs", "is Git LFS's pointer to the file, not the file itself",
     "fetch it with git lfs pull"},
    {0, "<", "is a web page or other markup, no weight file", "download the file itself, not the page that shows it"},
    {4, "TFL3", "is a TensorFlow Lite model, which is not read",
     "save the Keras model that it was made of with model.save(\"model.keras\"), or export ONNX"},
    {0, "\x93NUMPY", "is an array of NumPy's, no weight file",
     "save the network itself: torch.save(model.state_dict(), \"model.pth\") or model.save(\"model.keras\")"},
};

}  // namespace

const Importer& find_importer(const SourceFile& file) {
  const auto head = file.read(0, std::min<std::uint64_t>(file.size(), sniff_bytes));
  for (const Importer* importer : importer_list()) {
    if (importer->sniff(head, file.size())) return *importer;
  }
  if (file.size() == 0) fail(ErrorCode::import_failed, "the file is empty", file.name(), "download or copy it again");
  for (const Mistake& mistake : mistakes) {
    if (head.size() < mistake.offset || !starts_with(std::span(head).subspan(mistake.offset), mistake.magic)) continue;
    fail(ErrorCode::import_failed, std::string(mistake.what), file.name(), std::string(mistake.next));
  }
  fail(ErrorCode::import_failed, "is no PyTorch (.pth, .pt), safetensors, Keras (.keras, .h5) or ONNX file",
       file.name(), "save a state dict with torch.save(model.state_dict(), \"model.pth\") and convert that");
}

}  // namespace resnet::convert
