// What torch.save wrote before PyTorch 1.6, and still writes when asked to: five pickles one after the other (a magic
// number, the protocol, facts on the machine, the object, the keys of its storages), then per key the number of
// elements and their bytes.
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "convert/importers/file_ranges.hpp"
#include "convert/importers/importer.hpp"
#include "convert/importers/torch_objects.hpp"

namespace resnet::convert {
namespace {

/// The integer 0x1950a86a20f9469cfc6c as a pickle of protocol 2.
constexpr std::string_view magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr std::int64_t protocol = 1001;

bool sniff(std::span<const std::byte> head, std::uint64_t) { return starts_with(head, magic); }

class Stream {
 public:
  explicit Stream(const SourceFile& file)
      : file_(file), values_(limits_), objects_(file.name()), position_(magic.size()) {
    head_ = file.read(0, std::min(file.size(), max_torch_pickle_bytes));
  }

  Imported read() {
    const PickleValue& version = values_[pickle()];
    if (version.kind != PickleKind::integer || version.number != protocol)
      reject("has another protocol than " + std::to_string(protocol));
    check_machine(pickle());
    const PickleId object = pickle(), keys = pickle();
    Imported result;
    result.format = "PyTorch legacy stream";
    result.tensors = objects_.state_dict(values_, object, result.notes);
    result.storages = std::make_shared<FileRanges>(file_, ranges(keys));
    return result;
  }

 private:
  [[noreturn]] void reject(const std::string& message) const {
    fail(ErrorCode::import_failed, message, file_.name(),
         "the file is damaged; if PyTorch loads it, save it again with torch.save(model.state_dict(), \"model.pth\")");
  }

  PickleId pickle() {
    std::size_t length = 0;
    const auto rest = std::span<const std::byte>(head_).subspan(position_);
    const PickleId id = read_pickle(rest, values_, objects_, limits_, file_.name(), &length);
    position_ += length;
    return id;
  }

  void check_machine(PickleId info) const {
    const PickleId* little = values_[info].kind == PickleKind::dict ? values_.find(info, "little_endian") : nullptr;
    if (little == nullptr || values_[*little].kind != PickleKind::boolean) reject("does not say its byte order");
    if (values_[*little].number == 0) {
      fail(ErrorCode::import_failed, "was written by a big-endian machine", file_.name(),
           "load and save it again on a little-endian machine");
    }
  }

  /// Where the storages lie, in the order of TorchObjects::storages().
  std::vector<FileRanges::Range> ranges(PickleId keys) const {
    const auto& storages = objects_.storages();
    std::map<std::string_view, std::size_t> by_key;
    for (std::size_t i = 0; i < storages.size(); ++i) by_key.emplace(storages[i].key, i);
    if (values_[keys].kind != PickleKind::list) reject("has no list of its storages");
    std::vector<std::optional<FileRanges::Range>> found(storages.size());
    std::uint64_t offset = position_;
    for (const PickleId id : values_[keys].items) {
      const auto known = values_[id].kind == PickleKind::string ? by_key.find(values_[id].text) : by_key.end();
      if (known == by_key.end()) reject("holds a storage that no tensor names");
      const TorchStorage& storage = storages[known->second];
      if (found[known->second]) reject("holds the storage \"" + storage.key + "\" twice");
      std::int64_t elements = 0;
      std::vector<std::byte> count = file_.read(offset, sizeof elements);
      std::memcpy(&elements, count.data(), sizeof elements);
      if (elements != storage.elements) {
        reject("has " + std::to_string(elements) + " elements in the storage \"" + storage.key +
               "\", which is said to have " + std::to_string(storage.elements));
      }
      const auto bytes =
          static_cast<std::uint64_t>(checked_mul(elements, size_of(storage.type), "storage " + storage.key));
      found[known->second] = {offset + sizeof elements, bytes};
      offset = checked_add(offset + sizeof elements, bytes, "storage " + storage.key);
    }
    if (offset != file_.size()) {
      reject("has " + std::to_string(file_.size()) + " bytes, its storages end at " + std::to_string(offset));
    }
    std::vector<FileRanges::Range> ranges;
    for (std::size_t i = 0; i < storages.size(); ++i) {
      if (!found[i]) reject("lacks the storage \"" + storages[i].key + '"');
      ranges.push_back(*found[i]);
    }
    return ranges;
  }

  const SourceFile& file_;
  const PickleLimits limits_;
  std::vector<std::byte> head_;
  PickleValues values_;
  TorchObjects objects_;
  std::size_t position_;
};

Imported read(const SourceFiles& files) { return Stream(files.main).read(); }

}  // namespace

const Importer torch_legacy_importer = {"PyTorch legacy stream", sniff, read};

}  // namespace resnet::convert
