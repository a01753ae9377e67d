// What torch.save wrote before PyTorch 0.1.10: a tar file of four members. "storages" holds a count, per storage its
// key, place and type, the number of elements and their bytes, and then the views of storages; "tensors" a count and
// per tensor its key, its storage's key, sizes, strides and offset; "pickle" the object, whose persistent ids are the
// tensors' keys; "sys_info" facts on the machine.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <utility>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "convert/importers/file_ranges.hpp"
#include "convert/importers/importer.hpp"
#include "convert/importers/torch_objects.hpp"

namespace resnet::convert {
namespace {

constexpr std::uint64_t block = 512;
constexpr std::uint64_t max_small_pickle = 64u << 10;  ///< of one storage or tensor
constexpr std::uint64_t max_padding = 1u << 20;        ///< zeros behind the last member
constexpr std::int64_t max_entries = 1'000'000;

bool sniff(std::span<const std::byte> head, std::uint64_t) {
  return head.size() > 262 && starts_with(head.subspan(257), "ustar");
}

[[noreturn]] void reject(const SourceFile& file, const std::string& message) {
  fail(ErrorCode::import_failed, message, file.name(),
       "the file is damaged or no state dict; if a current PyTorch loads it, save it again with "
       "torch.save(model.state_dict(), \"model.pth\")");
}

struct Member {
  std::uint64_t offset = 0, bytes = 0;
};

std::uint64_t octal(const SourceFile& file, std::string_view field) {
  field = field.substr(0, field.find('\0'));
  while (field.starts_with(' ')) field.remove_prefix(1);
  while (field.ends_with(' ')) field.remove_suffix(1);
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  if (parsed.ec != std::errc() || parsed.ptr != field.data() + field.size())
    reject(file, "has a tar header with a bad number");
  return value;
}

/// A pax header may only say what does not matter here (times, owners).
void check_pax(const SourceFile& file, const Member& member) {
  if (member.bytes > max_small_pickle) reject(file, "has a pax header of " + std::to_string(member.bytes) + " bytes");
  const auto bytes = file.read(member.offset, member.bytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const std::string_view key : {" size=", " path=", " linkpath=", " GNU.sparse"}) {
    if (text.find(key) != std::string_view::npos) reject(file, "has a pax header that changes" + std::string(key));
  }
}

std::map<std::string, Member, std::less<>> read_members(const SourceFile& file) {
  std::map<std::string, Member, std::less<>> members;
  std::uint64_t offset = 0;
  for (;;) {
    if (offset == file.size()) break;
    const auto bytes = file.read(offset, block);
    const std::string_view header(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (std::all_of(header.begin(), header.end(), [](char c) { return c == 0; })) break;
    // The checksum is the sum of all bytes, with its own field as spaces.
    std::uint64_t sum = 8 * ' ';
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (i < 148 || i >= 156) sum += static_cast<unsigned char>(header[i]);
    }
    if (octal(file, header.substr(148, 8)) != sum) reject(file, "has a tar header with a wrong checksum");
    const Member member{offset + block, octal(file, header.substr(124, 12))};
    const std::uint64_t end = checked_add(member.offset, member.bytes, file.name());
    if (end > file.size()) {
      fail(ErrorCode::truncated,
           "has " + std::to_string(file.size()) + " bytes, a member ends at " + std::to_string(end), file.name(),
           "download or copy the file again");
    }
    const char type = header[156];
    const std::string name(header.substr(0, std::min<std::size_t>(header.find('\0'), 100)));
    if (type == 'x' || type == 'g') {
      check_pax(file, member);
    } else if (type != '0' && type != '\0') {
      reject(file, "has a tar member that is no file");
    } else if (name != "sys_info" && name != "pickle" && name != "tensors" && name != "storages") {
      reject(file, "is a tar file with other members than torch.save wrote");
    } else if (!members.emplace(name, member).second) {
      reject(file, "has two members " + name);
    }
    offset = checked_add(end, (block - end % block) % block, file.name());
    if (offset > file.size()) reject(file, "ends within a member");
  }
  const std::uint64_t rest = file.size() - offset;
  if (rest > max_padding) reject(file, std::to_string(rest) + " bytes behind the last member");
  for (const std::byte value : file.read(offset, rest)) {
    if (value != std::byte{0}) reject(file, "has bytes behind the last member");
  }
  for (const char* name : {"sys_info", "pickle", "tensors", "storages"}) {
    if (!members.contains(name)) reject(file, "lacks the member " + std::string(name));
  }
  return members;
}

/// The object's tensors are named by their keys; every other persistent id is refused.
class Host final : public PickleHost {
 public:
  Host(const SourceFile& file, TorchObjects& objects) : file_(file), objects_(objects) {}

  std::int64_t global(std::string_view module, std::string_view name) override { return objects_.global(module, name); }
  PickleId reduce(PickleValues& values, PickleId callable, PickleId arguments) override {
    return objects_.reduce(values, callable, arguments);
  }
  PickleId persistent(PickleValues& values, PickleId id) override {
    const PickleValue& value = values[id];
    std::int64_t key = value.number;
    if (value.kind == PickleKind::string) {
      const auto parsed = std::from_chars(value.text.data(), value.text.data() + value.text.size(), key);
      if (parsed.ec != std::errc() || parsed.ptr != value.text.data() + value.text.size()) key = -1;
    } else if (value.kind != PickleKind::integer) {
      reject(file_, "holds a whole model, not a state dict");
    }
    const auto known = tensors_.find(key);
    if (known == tensors_.end()) reject(file_, "names a tensor that it does not hold");
    return values.add(PickleKind::tensor, known->second);
  }
  void name(std::int64_t key, std::size_t tensor) {
    if (!tensors_.emplace(key, static_cast<std::int64_t>(tensor)).second) reject(file_, "holds a tensor twice");
  }

 private:
  const SourceFile& file_;
  TorchObjects& objects_;
  std::map<std::int64_t, std::int64_t> tensors_;
};

class Tar {
 public:
  explicit Tar(const SourceFile& file)
      : file_(file), objects_(file.name()), host_(file, objects_), members_(read_members(file)) {}

  Imported read() {
    check_machine();
    read_storages();
    read_tensors();
    const Member& member = members_.at("pickle");
    if (member.bytes > max_torch_pickle_bytes)
      reject(file_, "has a pickle of " + std::to_string(member.bytes) + " bytes");
    const auto bytes = file_.read(member.offset, member.bytes);
    PickleValues values(limits_);
    const PickleId top = read_pickle(bytes, values, host_, limits_, file_.name());
    Imported result;
    result.format = "PyTorch tar";
    result.tensors = objects_.state_dict(values, top, result.notes);
    result.storages = std::make_shared<FileRanges>(file_, std::move(ranges_));
    return result;
  }

 private:
  /// A part of a storage, which is all of it but for views.
  struct Storage {
    std::size_t range = 0;
    SourceType type = SourceType::f32;
    std::int64_t first = 0, elements = 0;
  };

  /// Reads a member from its beginning: small pickles and numbers.
  class Cursor {
   public:
    Cursor(Tar& tar, const char* member)
        : tar_(tar), at_(tar.members_.at(member).offset), end_(at_ + tar.members_.at(member).bytes) {}

    /// Calls `use(values, id)` with the next pickle.
    template <class Use>
    auto pickle(Use use) {
      const auto bytes = tar_.file_.read(at_, std::min(end_ - at_, max_small_pickle));
      PickleValues values(tar_.limits_);
      std::size_t length = 0;
      const PickleId id = read_pickle(bytes, values, tar_.host_, tar_.limits_, tar_.file_.name(), &length);
      at_ += length;
      return use(values, id);
    }
    std::int64_t integer(std::size_t bytes = 8) {
      std::int64_t value = 0;
      const std::uint64_t from = skip(bytes);
      const auto read = tar_.file_.read(from, bytes);
      std::memcpy(&value, read.data(), bytes);
      return bytes == 4 ? static_cast<std::int32_t>(static_cast<std::uint32_t>(value)) : value;
    }
    /// Moves on by so many bytes; returns where they begin.
    std::uint64_t skip(std::uint64_t bytes) {
      if (bytes > end_ - at_) reject(tar_.file_, "has a member that ends too early");
      at_ += bytes;
      return at_ - bytes;
    }
    std::int64_t count() {
      const std::int64_t value = pickle([&](const PickleValues& values, PickleId id) {
        return values[id].kind == PickleKind::integer ? values[id].number : -1;
      });
      if (value < 0 || value > max_entries) reject(tar_.file_, "counts " + std::to_string(value) + " entries");
      return value;
    }
    void finish() const {
      if (at_ != end_) reject(tar_.file_, "has bytes behind the end of a member");
    }

   private:
    Tar& tar_;
    std::uint64_t at_, end_;
  };

  void check_machine() {
    Cursor cursor(*this, "sys_info");
    const bool little = cursor.pickle([&](const PickleValues& values, PickleId id) {
      const PickleId* entry = values[id].kind == PickleKind::dict ? values.find(id, "little_endian") : nullptr;
      if (entry == nullptr || values[*entry].kind != PickleKind::boolean) reject(file_, "does not say its byte order");
      return values[*entry].number != 0;
    });
    if (!little) {
      fail(ErrorCode::import_failed, "was written by a big-endian machine", file_.name(),
           "load and save it again on a little-endian machine");
    }
  }

  void add_storage(std::int64_t key, const Storage& storage) {
    if (!storages_.emplace(key, storage).second) reject(file_, "holds a storage twice");
  }
  const Storage& storage(std::int64_t key) const {
    const auto known = storages_.find(key);
    if (known == storages_.end()) reject(file_, "names a storage that it does not hold");
    return known->second;
  }

  void read_storages() {
    Cursor cursor(*this, "storages");
    const std::int64_t count = cursor.count();
    for (std::int64_t i = 0; i < count; ++i) {
      Storage entry;
      const std::int64_t key = cursor.pickle([&](const PickleValues& values, PickleId id) {
        const auto& items = values[id].items;
        const auto type = items.size() == 3 ? objects_.storage_type(values[items[2]]) : std::nullopt;
        if (values[id].kind != PickleKind::tuple || !type || values[items[0]].kind != PickleKind::integer) {
          reject(file_, "has a storage that is not (key, place, type)");
        }
        entry.type = *type;
        return values[items[0]].number;
      });
      entry.elements = cursor.integer();
      if (entry.elements < 0) reject(file_, "has a storage of negative size");
      const auto bytes = static_cast<std::uint64_t>(checked_mul(entry.elements, size_of(entry.type), file_.name()));
      entry.range = ranges_.size();
      ranges_.push_back({cursor.skip(bytes), bytes});
      add_storage(key, entry);
    }
    cursor.pickle([&](const PickleValues& values, PickleId id) {
      if (values[id].kind != PickleKind::list) reject(file_, "has no list of views");
      for (const PickleId view : values[id].items) read_view(values, view);
    });
    cursor.finish();
  }

  /// (key, root, first element, elements)
  void read_view(const PickleValues& values, PickleId id) {
    const auto& items = values[id].items;
    const bool integers = std::all_of(items.begin(), items.end(),
                                      [&](PickleId item) { return values[item].kind == PickleKind::integer; });
    if (items.size() != 4 || !integers) reject(file_, "has a view that is not (key, root, offset, count)");
    Storage view = storage(values[items[1]].number);
    const std::int64_t first = values[items[2]].number, elements = values[items[3]].number;
    if (first < 0 || elements < 0 || first > view.elements || elements > view.elements - first) {
      reject(file_, "has a view that leaves its storage");
    }
    view.first += first;
    view.elements = elements;
    add_storage(values[items[0]].number, view);
  }

  void read_tensors() {
    Cursor cursor(*this, "tensors");
    const std::int64_t count = cursor.count();
    for (std::int64_t i = 0; i < count; ++i) {
      const auto [key, storage_key] = cursor.pickle([&](const PickleValues& values, PickleId id) {
        const auto& items = values[id].items;
        if (values[id].kind != PickleKind::tuple || items.size() != 3 || values[items[0]].kind != PickleKind::integer ||
            values[items[1]].kind != PickleKind::integer) {
          reject(file_, "has a tensor that is not (key, storage, type)");
        }
        return std::pair(values[items[0]].number, values[items[1]].number);
      });
      const Storage& part = storage(storage_key);
      SourceTensor tensor;
      tensor.name = file_.name() + ": tensor " + std::to_string(key);  // until the state dict names it
      tensor.type = part.type;
      tensor.storage = part.range;
      const std::int64_t dimensions = cursor.integer(4);
      cursor.skip(4);
      if (dimensions < 0 || dimensions > 8)
        reject(file_, "has a tensor of " + std::to_string(dimensions) + " dimensions");
      for (std::int64_t d = 0; d < dimensions; ++d) tensor.shape.push_back(cursor.integer());
      for (std::int64_t d = 0; d < dimensions; ++d) tensor.strides.push_back(cursor.integer());
      tensor.offset = cursor.integer();
      check_view(tensor, part.elements);
      tensor.offset += part.first;
      host_.name(key, objects_.add_tensor(std::move(tensor)));
    }
    cursor.finish();
  }

  const SourceFile& file_;
  const PickleLimits limits_;
  TorchObjects objects_;
  Host host_;
  std::map<std::string, Member, std::less<>> members_;
  std::map<std::int64_t, Storage> storages_;
  std::vector<FileRanges::Range> ranges_;
};

Imported read(const SourceFiles& files) { return Tar(files.main).read(); }

}  // namespace

const Importer torch_tar_importer = {"PyTorch tar", sniff, read};

}  // namespace resnet::convert
