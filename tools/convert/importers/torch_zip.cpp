// PyTorch's zip container (torch.save since 1.6): <root>/data.pkl, <root>/data/<key>, <root>/version ...
#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "convert/importers/importer.hpp"
#include "convert/importers/torch_objects.hpp"
#include "convert/importers/zip_archive.hpp"

namespace resnet::convert {
namespace {

bool sniff(std::span<const std::byte> head, std::uint64_t) {
  return starts_with(head, std::string_view("PK\3\4", 4)) || starts_with(head, std::string_view("PK\5\6", 4));
}

class Storages final : public StorageReader {
 public:
  Storages(const SourceFile& file, std::unique_ptr<ZipArchive> zip, std::string root,
           std::vector<TorchStorage> storages)
      : file_(file), zip_(std::move(zip)), root_(std::move(root)), storages_(std::move(storages)) {}

  std::vector<std::byte> read(std::size_t index) const override {
    const TorchStorage& storage = storages_.at(index);
    const std::string name = root_ + "data/" + storage.key;
    const auto entry = zip_->find(name);
    if (!entry) fail(ErrorCode::import_failed, "the entry \"" + name + "\" is missing", file_.name());
    const std::int64_t bytes = checked_mul(storage.elements, size_of(storage.type), name);
    if (zip_->entries()[*entry].bytes != static_cast<std::uint64_t>(bytes)) {
      fail(ErrorCode::import_failed,
           "entry \"" + name + "\" has " + std::to_string(zip_->entries()[*entry].bytes) + " bytes, its " +
               std::to_string(storage.elements) + " elements of " + std::string(to_string(storage.type)) + " need " +
               std::to_string(bytes),
           file_.name(), "the file is damaged or was tampered with");
    }
    return zip_->read(*entry);
  }

 private:
  const SourceFile& file_;
  std::unique_ptr<ZipArchive> zip_;
  std::string root_;
  std::vector<TorchStorage> storages_;
};

bool any_entry(const ZipArchive& zip, std::string_view part) {
  return std::any_of(zip.entries().begin(), zip.entries().end(),
                     [&](const auto& entry) { return entry.name.find(part) != std::string::npos; });
}

/// "<root>/" of the one entry "<root>/data.pkl".
std::string find_root(const ZipArchive& zip, const SourceFile& file) {
  if (zip.find("config.json") && any_entry(zip, "model.weights")) {
    fail(ErrorCode::import_failed, "is a Keras file that was packed again in another order", file.name(),
         "save it with model.save(\"model.keras\")");
  }
  std::string root;
  for (const auto& entry : zip.entries()) {
    const std::size_t slash = entry.name.find('/');
    if (slash == std::string::npos || std::string_view(entry.name).substr(slash) != "/data.pkl") continue;
    if (!root.empty()) fail(ErrorCode::import_failed, "has two entries data.pkl", file.name());
    root = entry.name.substr(0, slash + 1);
  }
  if (root.empty()) {
    fail(ErrorCode::import_failed, "is a zip file without data.pkl, so torch.save did not write it", file.name(),
         "convert a file that torch.save(model.state_dict(), \"model.pth\") wrote");
  }
  return root;
}

Imported read(const SourceFiles& files) {
  const SourceFile& file = files.main;
  auto zip = std::make_unique<ZipArchive>(file);
  const std::string root = find_root(*zip, file);
  if (const auto order = zip->find(root + "byteorder")) {
    const auto text = zip->read(*order, 16);
    if (!starts_with(text, "little")) {
      fail(ErrorCode::import_failed, "was written by a big-endian machine", file.name(),
           "load and save it again on a little-endian machine");
    }
  }
  const std::size_t entry = *zip->find(root + "data.pkl");
  if (const std::uint64_t bytes = zip->entries()[entry].bytes; bytes > max_torch_pickle_bytes) {
    fail(ErrorCode::limit_exceeded,
         "data.pkl has " + std::to_string(bytes) + " bytes, the limit is " + std::to_string(max_torch_pickle_bytes) +
             ": one so long holds values, such as numpy arrays, where tensors should be",
         file.name(), "save tensors: torch.save({k: torch.from_numpy(v) for k, v in arrays.items()}, \"model.pth\")");
  }
  const auto pickle = zip->read(entry, max_torch_pickle_bytes);

  const PickleLimits limits;
  PickleValues values(limits);
  TorchObjects objects(file.name());
  const PickleId top = read_pickle(pickle, values, objects, limits, file.name());
  Imported result;
  result.format = "PyTorch zip";
  result.tensors = objects.state_dict(values, top, result.notes);
  result.storages = std::make_shared<Storages>(file, std::move(zip), root, objects.storages());
  return result;
}

}  // namespace

const Importer torch_zip_importer = {"PyTorch zip", sniff, read};

}  // namespace resnet::convert
