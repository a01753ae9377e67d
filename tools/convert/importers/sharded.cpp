// Weights in several files and the JSON index that names them, as Hugging Face saves large models:
// {"metadata": {...}, "weight_map": {tensor: file}}. Every file must be there and hold exactly its tensors.
#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/check.hpp"
#include "base/json.hpp"
#include "convert/advice.hpp"
#include "convert/importers/importer.hpp"

namespace resnet::convert {
namespace {

constexpr std::uint64_t max_index = 16u << 20;

bool sniff(std::span<const std::byte> head, std::uint64_t) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' && text.find("\"weight_map\"") != std::string_view::npos;
}

/// The storages of several files, one after the other.
class Storages final : public StorageReader {
 public:
  /// Returns the number of the reader's first storage.
  std::size_t add(std::shared_ptr<const StorageReader> reader, std::size_t count) {
    const std::size_t first = storages_.size();
    for (std::size_t i = 0; i < count; ++i) storages_.emplace_back(reader, i);
    return first;
  }
  std::vector<std::byte> read(std::size_t storage) const override {
    const auto& [reader, index] = storages_.at(storage);
    return reader->read(index);
  }

 private:
  std::vector<std::pair<std::shared_ptr<const StorageReader>, std::size_t>> storages_;
};

using Names = std::set<std::string, std::less<>>;

void check_names(const Names& found, const Names& wanted, const std::string& file) {
  for (const std::string& name : wanted) {
    if (!found.contains(name)) {
      fail(ErrorCode::import_failed, "lacks \"" + name + "\", which the index places there", file,
           "the files are of different models: download all of them again");
    }
  }
  for (const std::string& name : found) {
    if (!wanted.contains(name)) {
      fail(ErrorCode::import_failed, "holds \"" + name + "\", which the index does not place there", file,
           "the files are of different models: download all of them again");
    }
  }
}

Imported read_files(const SourceFiles& files) {
  const SourceFile& index = files.main;
  if (index.size() > max_index)
    fail(ErrorCode::limit_exceeded, "is larger than 16 MiB", index.name(), "fetch the index again");
  const auto bytes = index.read(0, index.size());
  const Json json = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, index.name());
  std::map<std::string, Names> shards;
  for (const auto& [tensor, file] : json.at("weight_map", index.name()).as_object(index.name() + ": weight_map")) {
    shards[file.as_string(index.name() + ": " + tensor)].insert(tensor);
  }
  std::string missing;
  for (const auto& [name, tensors] : shards) {
    if (files.find(name) == nullptr) missing += (missing.empty() ? "" : ", ") + name;
  }
  if (!missing.empty()) {
    fail(ErrorCode::import_failed, "names files that are not beside it: " + missing, index.name(),
         "download them into the same folder");
  }
  Imported result;
  const auto storages = std::make_shared<Storages>();
  for (const auto& [name, wanted] : shards) {
    const SourceFile& file = *files.find(name);
    const Importer& importer = find_importer(file);
    if (&importer == &sharded_importer)
      fail(ErrorCode::import_failed, "is an index again", file.name(), "fetch the weight file of that name");
    Imported part = importer.read(SourceFiles(file));
    Names found;
    std::size_t count = 0;
    for (const SourceTensor& tensor : part.tensors) {
      found.insert(tensor.name);
      count = std::max(count, tensor.storage + 1);
    }
    check_names(found, wanted, file.name());
    const std::size_t first = storages->add(part.storages, count);
    for (SourceTensor& tensor : part.tensors) {
      tensor.storage += first;
      result.tensors.push_back(std::move(tensor));
    }
    for (std::string& note : part.notes) result.notes.push_back(name + ": " + std::move(note));
  }
  result.format = "index of " + std::to_string(shards.size()) + " files";
  result.storages = storages;
  return result;
}

Imported read(const SourceFiles& files) {
  return with_advice("fetch the index and its files again", [&] { return read_files(files); });
}

}  // namespace

const Importer sharded_importer = {"sharded weights", sniff, read};

}  // namespace resnet::convert
