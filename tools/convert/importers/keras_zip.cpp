// Keras 3's own format: a zip file with config.json (the layers) and model.weights.h5.
#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"
#include "base/json.hpp"
#include "convert/importers/keras.hpp"
#include "convert/importers/keras_config.hpp"
#include "convert/importers/keras_model.hpp"
#include "convert/importers/zip_archive.hpp"

namespace resnet::convert {
namespace {

// A ResNet-152's configuration has half a megabyte, and shrinks to a twentieth.
constexpr std::uint64_t max_config_bytes = 4u << 20, max_ratio = 200;
constexpr std::uint64_t max_weights_surplus = 16u << 20;
constexpr std::array<std::string_view, 3> entry_names = {"metadata.json", "config.json", "model.weights.h5"};

/// A zip file whose first entry has one of the names that Keras writes; PyTorch's lie in a folder.
bool sniff(std::span<const std::byte> head, std::uint64_t) {
  constexpr std::size_t name_at = 30;
  if (!starts_with(head, std::string_view("PK\3\4", 4)) || head.size() < name_at) return false;
  const std::size_t length = std::to_integer<std::size_t>(head[26]) | std::to_integer<std::size_t>(head[27]) << 8;
  return std::any_of(entry_names.begin(), entry_names.end(), [&](std::string_view name) {
    return name.size() == length && starts_with(head.subspan(name_at), name);
  });
}

std::string read_text(const ZipArchive& zip, std::string_view name, const SourceFile& file) {
  const auto entry = zip.find(name);
  if (!entry) {
    fail(ErrorCode::import_failed, "has no entry \"" + std::string(name) + "\", so it is no complete .keras file",
         file.name(), "save it with model.save(\"model.keras\")");
  }
  const ZipArchive::Entry& info = zip.entries()[*entry];
  if (info.bytes > max_config_bytes || info.bytes / max_ratio > info.stored_bytes) {
    fail(ErrorCode::limit_exceeded,
         "entry \"" + info.name + "\" has " + std::to_string(info.bytes) + " bytes, compressed to " +
             std::to_string(info.stored_bytes) + "; at most " + std::to_string(max_config_bytes) + " and " +
             std::to_string(max_ratio) + " times as many are read",
         file.name(), "save the model again with model.save(\"model.keras\")");
  }
  const auto bytes = zip.read(*entry);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Json read_metadata(const ZipArchive& zip, const SourceFile& file) {
  const std::string text = read_text(zip, "metadata.json", file), where = file.name() + ": metadata.json";
  try {
    return parse_json(text, where);
  } catch (const Error& error) {
    explain(error, where);
  }
}

Imported read(const SourceFiles& files) {
  const SourceFile& file = files.main;
  const ZipArchive zip(file, ZipArchive::Compression::allowed);
  const std::string config = read_text(zip, "config.json", file);
  const Json metadata = read_metadata(zip, file);
  const auto weights = zip.find("model.weights.h5");
  if (!weights) {
    fail(ErrorCode::import_failed,
         zip.find("model.weights.npz") || zip.find("model.weights.json")
             ? "keeps its weights in another form than model.weights.h5, which is not read"
             : "has no entry \"model.weights.h5\"",
         file.name(), "save it with model.save(\"model.keras\")");
  }
  // Compressed or not, weights hardly shrink: more is a bomb.
  auto unpacked = std::make_unique<const SourceFile>(SourceFile::from_bytes(
      zip.read(*weights, 2 * file.size() + max_weights_surplus), file.name() + ": model.weights.h5"));
  const Json* version = metadata.find("keras_version");
  Imported result = read_keras_weights(std::move(unpacked));
  result.format = "Keras archive";
  const int major = version != nullptr && version->is_string() ? keras_major(version->as_string()) : 0;
  if (major == 2) result.keras_major = 2;
  use_keras_model(config, file.name() + ": config.json", major, result);
  return result;
}

}  // namespace

const Importer keras_zip_importer = {"Keras archive", sniff, read};

}  // namespace resnet::convert
