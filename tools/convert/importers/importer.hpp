#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/recipe.hpp"
#include "convert/source_file.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// The first bytes of a file, as far as it has them, for sniffing.
inline constexpr std::size_t sniff_bytes = 512;

/// What an importer makes of a file.
struct Imported {
  std::string format;                 ///< for people: "PyTorch zip"
  std::vector<SourceTensor> tensors;  ///< unique names, in file order
  std::shared_ptr<const StorageReader> storages;
  std::vector<std::string> notes;  ///< what the user should know: the wrapper that was opened, what was skipped
  int keras_major = 0;             ///< 2 or 3 for a Keras file; without a graph its names await an architecture
  std::optional<Recipe> graph;     ///< where the file describes its layers itself, with these tensors' names as weights
};

/// A foreign format. Adding one = one file that defines an Importer, its declaration below, and one line in
/// importer_list.cpp.
struct Importer {
  std::string_view name;  ///< for messages: "PyTorch zip"
  /// Whether a file of `file_bytes` bytes that starts with `head` is of this format. Content decides, never the suffix.
  bool (*sniff)(std::span<const std::byte> head, std::uint64_t file_bytes);
  /// Reads untrusted bytes: runs inside the limited child. May only fail by throwing Error.
  Imported (*read)(const SourceFiles& files);
};

/// All importers; the first that sniffs its format reads the file.
std::span<const Importer* const> importer_list();

/// @throws Error import_failed that lists the formats when none fits
const Importer& find_importer(const SourceFile& file);

extern const Importer torch_zip_importer;
extern const Importer torch_legacy_importer;
extern const Importer torch_tar_importer;
extern const Importer safetensors_importer;
extern const Importer keras_h5_importer;
extern const Importer keras_zip_importer;
extern const Importer onnx_importer;
extern const Importer sharded_importer;

/// True when `head` starts with the bytes of `magic`.
bool starts_with(std::span<const std::byte> head, std::string_view magic);

}  // namespace resnet::convert
