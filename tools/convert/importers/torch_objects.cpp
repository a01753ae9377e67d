#include "convert/importers/torch_objects.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

constexpr const char* save_again =
    "load the file in Python where you trust it, then torch.save(model.state_dict(), \"model.pth\") and convert that";

enum class Role : std::uint8_t { dict, rebuild_tensor, rebuild_parameter, size, storage, ignored };

struct Global {
  std::string_view module, name;
  Role role;
  SourceType type = SourceType::other;  // of a storage
};

/// Everything that a pickle may name. "ignored" objects (an epoch's numpy scalar, an argparse.Namespace) are parsed and
/// skipped. This is data: no entry is ever looked up or called.
constexpr std::array<Global, 76> globals = {{
    {"collections", "OrderedDict", Role::dict},
    {"torch._utils", "_rebuild_tensor_v2", Role::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor", Role::rebuild_tensor},
    {"torch._utils", "_rebuild_parameter", Role::rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", Role::rebuild_parameter},
    {"torch.nn.parameter", "Parameter", Role::rebuild_parameter},
    {"torch", "Size", Role::size},
    {"torch", "DoubleStorage", Role::storage, SourceType::f64},
    {"torch", "FloatStorage", Role::storage, SourceType::f32},
    {"torch", "HalfStorage", Role::storage, SourceType::f16},
    {"torch", "BFloat16Storage", Role::storage, SourceType::bf16},
    {"torch", "LongStorage", Role::storage, SourceType::i64},
    {"torch", "IntStorage", Role::storage, SourceType::i32},
    {"torch", "ShortStorage", Role::storage, SourceType::i16},
    {"torch", "CharStorage", Role::storage, SourceType::i8},
    {"torch", "ByteStorage", Role::storage, SourceType::u8},
    {"torch", "BoolStorage", Role::storage, SourceType::boolean},
    {"torch.cuda", "DoubleStorage", Role::storage, SourceType::f64},
    {"torch.cuda", "FloatStorage", Role::storage, SourceType::f32},
    {"torch.cuda", "HalfStorage", Role::storage, SourceType::f16},
    {"torch.cuda", "BFloat16Storage", Role::storage, SourceType::bf16},
    {"torch.cuda", "LongStorage", Role::storage, SourceType::i64},
    {"torch.cuda", "IntStorage", Role::storage, SourceType::i32},
    {"torch.cuda", "ShortStorage", Role::storage, SourceType::i16},
    {"torch.cuda", "CharStorage", Role::storage, SourceType::i8},
    {"torch.cuda", "ByteStorage", Role::storage, SourceType::u8},
    {"torch.cuda", "BoolStorage", Role::storage, SourceType::boolean},
    {"torch", "DoubleTensor", Role::ignored},
    {"torch", "FloatTensor", Role::ignored},
    {"torch", "HalfTensor", Role::ignored},
    {"torch", "LongTensor", Role::ignored},
    {"torch", "IntTensor", Role::ignored},
    {"torch", "ShortTensor", Role::ignored},
    {"torch", "CharTensor", Role::ignored},
    {"torch", "ByteTensor", Role::ignored},
    {"torch.cuda", "DoubleTensor", Role::ignored},
    {"torch.cuda", "FloatTensor", Role::ignored},
    {"torch.cuda", "HalfTensor", Role::ignored},
    {"torch.cuda", "LongTensor", Role::ignored},
    {"torch.cuda", "IntTensor", Role::ignored},
    {"torch.cuda", "ShortTensor", Role::ignored},
    {"torch.cuda", "CharTensor", Role::ignored},
    {"torch.cuda", "ByteTensor", Role::ignored},
    {"torch", "device", Role::ignored},
    {"torch", "float64", Role::ignored},
    {"torch", "float32", Role::ignored},
    {"torch", "float16", Role::ignored},
    {"torch", "bfloat16", Role::ignored},
    {"torch", "int64", Role::ignored},
    {"torch", "int32", Role::ignored},
    {"torch", "int16", Role::ignored},
    {"torch", "int8", Role::ignored},
    {"torch", "uint8", Role::ignored},
    {"torch", "bool", Role::ignored},
    {"argparse", "Namespace", Role::ignored},
    {"collections", "Counter", Role::ignored},
    {"collections", "defaultdict", Role::ignored},
    {"__builtin__", "dict", Role::ignored},
    {"builtins", "dict", Role::ignored},
    {"__builtin__", "set", Role::ignored},
    {"builtins", "set", Role::ignored},
    {"__builtin__", "list", Role::ignored},
    {"builtins", "list", Role::ignored},
    {"__builtin__", "bytearray", Role::ignored},
    {"builtins", "bytearray", Role::ignored},
    {"__builtin__", "complex", Role::ignored},
    {"builtins", "complex", Role::ignored},
    {"_codecs", "encode", Role::ignored},
    {"numpy", "dtype", Role::ignored},
    {"numpy", "ndarray", Role::ignored},
    {"numpy.core.multiarray", "scalar", Role::ignored},
    {"numpy._core.multiarray", "scalar", Role::ignored},
    {"numpy.core.multiarray", "_reconstruct", Role::ignored},
    {"numpy._core.multiarray", "_reconstruct", Role::ignored},
    {"datetime", "datetime", Role::ignored},
    {"pathlib", "PosixPath", Role::ignored},
}};

const Global& global_at(const PickleValue& value) { return globals[static_cast<std::size_t>(value.number)]; }

/// The printable part of a name from the file, cut.
std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 120)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return '"' + out + (text.size() > 120 ? "...\"" : "\"");
}

bool is(const PickleValues& values, PickleId id, PickleKind kind) { return values[id].kind == kind; }

/// Averaged weights first: they are what training evaluated and what timm loads.
constexpr std::array<std::string_view, 7> wrappers = {"state_dict_ema",   "model_ema", "ema", "state_dict",
                                                      "model_state_dict", "model",     "net"};

/// What a dict without tensors holds: its keys, and the way to the tensors below one of them.
std::string keys_text(const PickleValues& values, PickleId dict) {
  constexpr std::size_t shown = 8;
  const auto& items = values[dict].items;
  if (items.empty()) return "an empty dict";
  std::string text;
  for (std::size_t i = 0; i < std::min(items.size(), 2 * shown); i += 2) {
    const PickleValue& key = values[items[i]];
    text += (i == 0 ? "" : ", ") + (key.kind == PickleKind::string ? quoted(key.text) : "a key that is no text");
  }
  const bool objects = is(values, items[1], PickleKind::ignored);
  return "a dict without tensors, with the keys " + text + (items.size() > 2 * shown ? " ..." : "") +
         (objects ? " (whose values are other objects, such as numpy arrays)" : "");
}

std::string_view kind_name(PickleKind kind) {
  switch (kind) {
    case PickleKind::list:
      return "a list";
    case PickleKind::tuple:
      return "a tuple";
    case PickleKind::tensor:
      return "a single tensor";
    case PickleKind::dict:
      return "a dict without tensors";
    case PickleKind::ignored:
      return "a Python object";
    default:
      return "a plain value";
  }
}

}  // namespace

void TorchObjects::reject(const std::string& message) const {
  fail(ErrorCode::import_failed, message, where_, save_again);
}

std::int64_t TorchObjects::global(std::string_view module, std::string_view name) {
  const auto found = std::find_if(globals.begin(), globals.end(),
                                  [&](const Global& g) { return g.module == module && g.name == name; });
  if (found == globals.end()) {
    reject("the pickle names the Python object " + quoted(std::string(module) + '.' + std::string(name)) +
           ", which a state dict does not need; it was not loaded");
  }
  return found - globals.begin();
}

std::optional<SourceType> TorchObjects::storage_type(const PickleValue& value) {
  if (value.kind != PickleKind::global || global_at(value).role != Role::storage) return std::nullopt;
  return global_at(value).type;
}

std::size_t TorchObjects::add_tensor(SourceTensor tensor) {
  tensors_.push_back(std::move(tensor));
  return tensors_.size() - 1;
}

PickleId TorchObjects::reduce(PickleValues& values, PickleId callable, PickleId arguments) {
  const Global& function = global_at(values[callable]);
  if (function.role == Role::ignored) return values.add(PickleKind::ignored);
  if (values[arguments].items.size() > 8) reject(quoted(function.name) + " with more than 8 arguments");
  const std::vector<PickleId> items = values[arguments].items;  // a copy: building a record may move the values
  switch (function.role) {
    case Role::dict: {
      const PickleId dict = values.add(PickleKind::dict);
      if (items.empty()) return dict;
      // Python 2 wrote OrderedDict([[key, value], ...]).
      if (items.size() != 1 || !is(values, items[0], PickleKind::list)) reject("OrderedDict with unknown arguments");
      for (const PickleId pair : std::vector<PickleId>(values[items[0]].items)) {
        const std::vector<PickleId> entry = values[pair].items;
        const bool sequence = is(values, pair, PickleKind::list) || is(values, pair, PickleKind::tuple);
        if (!sequence || entry.size() != 2) reject("OrderedDict with an entry that is no pair");
        values.append(dict, entry);
      }
      return dict;
    }
    case Role::rebuild_tensor:
      return make_tensor(values, items);
    case Role::rebuild_parameter:
      if (items.empty() || !is(values, items[0], PickleKind::tensor)) reject("a parameter that holds no tensor");
      return items[0];
    case Role::size:
      if (items.size() != 1 || !is(values, items[0], PickleKind::tuple))
        reject("torch.Size of something that is no tuple");
      return items[0];
    case Role::storage:
      reject("a storage is constructed without data");
    case Role::ignored:
      break;  // above
  }
  return values.add(PickleKind::ignored);
}

PickleId TorchObjects::persistent(PickleValues& values, PickleId id) {
  const PickleValue& tuple = values[id];
  const auto& items = tuple.items;
  if (tuple.kind != PickleKind::tuple || items.size() < 5 || items.size() > 6 ||
      !is(values, items[0], PickleKind::string) || values[items[0]].text != "storage" ||
      !is(values, items[1], PickleKind::global) || global_at(values[items[1]]).role != Role::storage ||
      !is(values, items[2], PickleKind::string) || !is(values, items[3], PickleKind::string) ||
      !is(values, items[4], PickleKind::integer)) {
    reject("a persistent id that is not ('storage', type, key, location, count)");
  }
  TorchStorage storage;
  storage.key = std::string(values[items[2]].text);
  storage.type = global_at(values[items[1]]).type;
  storage.elements = values[items[4]].number;
  if (storage.elements < 0) reject("storage " + quoted(storage.key) + " has a negative size");
  const auto [known, added] = storage_by_key_.emplace(storage.key, storages_.size());
  if (added) {
    storages_.push_back(std::move(storage));
  } else if (storages_[known->second].type != storage.type || storages_[known->second].elements != storage.elements) {
    reject("storage " + quoted(storage.key) + " is described in two ways");
  }
  Part part{known->second, 0, storages_[known->second].elements};
  if (items.size() == 6 && !is(values, items[5], PickleKind::none)) part = part_of(values, part.storage, items[5]);
  parts_.push_back(part);
  return values.add(PickleKind::storage, static_cast<std::int64_t>(parts_.size() - 1));
}

/// (key, first element, elements)
TorchObjects::Part TorchObjects::part_of(const PickleValues& values, std::size_t storage, PickleId view) const {
  const auto& items = values[view].items;
  if (!is(values, view, PickleKind::tuple) || items.size() != 3 || !is(values, items[0], PickleKind::string) ||
      !is(values, items[1], PickleKind::integer) || !is(values, items[2], PickleKind::integer)) {
    reject("a view of a storage that is not (key, offset, count)");
  }
  const Part part{storage, values[items[1]].number, values[items[2]].number};
  if (part.first < 0 || part.elements < 0 || part.first > storages_[storage].elements - part.elements)
    reject("a view of storage " + quoted(storages_[storage].key) + " leaves it");
  return part;
}

/// (storage, offset, size, stride[, requires_grad, hooks[, metadata]])
PickleId TorchObjects::make_tensor(PickleValues& values, const std::vector<PickleId>& arguments) {
  const auto are_integers = [&](PickleId id) {
    const auto& items = values[id].items;
    return is(values, id, PickleKind::tuple) && std::all_of(items.begin(), items.end(), [&](PickleId item) {
             return is(values, item, PickleKind::integer);
           });
  };
  if (arguments.size() < 4 || arguments.size() > 7 || !is(values, arguments[0], PickleKind::storage) ||
      !is(values, arguments[1], PickleKind::integer) || !are_integers(arguments[2]) || !are_integers(arguments[3])) {
    reject("a tensor that is not (storage, offset, size, stride, ...)");
  }
  SourceTensor tensor;
  const Part& part = parts_[static_cast<std::size_t>(values[arguments[0]].number)];
  tensor.storage = part.storage;
  const TorchStorage& storage = storages_[tensor.storage];
  tensor.name = where_ + ": tensor in storage " + quoted(storage.key);  // until the state dict names it
  tensor.type = storage.type;
  tensor.offset = values[arguments[1]].number;
  for (const PickleId item : values[arguments[2]].items) tensor.shape.push_back(values[item].number);
  for (const PickleId item : values[arguments[3]].items) tensor.strides.push_back(values[item].number);
  check_view(tensor, part.elements);
  tensor.offset += part.first;
  tensors_.push_back(std::move(tensor));
  return values.add(PickleKind::tensor, static_cast<std::int64_t>(tensors_.size() - 1));
}

std::vector<SourceTensor> TorchObjects::state_dict(const PickleValues& values, PickleId root,
                                                   std::vector<std::string>& notes) const {
  const auto holds_tensors = [&](PickleId id) {
    if (!is(values, id, PickleKind::dict)) return false;
    const auto& items = values[id].items;
    for (std::size_t i = 1; i < items.size(); i += 2) {
      if (is(values, items[i], PickleKind::tensor)) return true;
    }
    return false;
  };

  // A checkpoint may keep a tensor of its own (best_acc1, loss) beside the state dict.
  const auto is_checkpoint = [&](PickleId id) {
    bool wraps = false;
    for (const std::string_view name : wrappers) {
      const PickleId* entry = values.find(id, name);
      wraps = wraps || (entry != nullptr && holds_tensors(*entry));
    }
    const auto& items = values[id].items;
    for (std::size_t i = 0; wraps && i + 1 < items.size(); i += 2) {
      const PickleValue& key = values[items[i]];
      const bool weight = key.kind == PickleKind::string && key.text.find('.') != std::string_view::npos;
      if (weight && is(values, items[i + 1], PickleKind::tensor)) wraps = false;
    }
    return wraps;
  };

  PickleId dict = root;
  std::string path;
  for (int level = 0; !holds_tensors(dict) || is_checkpoint(dict); ++level) {
    // Entries that hold tensors go before those that wrap once more.
    std::vector<std::pair<std::string_view, PickleId>> found;
    for (const bool wraps : {false, true}) {
      if (level >= 3 || !found.empty() || !is(values, dict, PickleKind::dict)) break;
      for (const std::string_view name : wrappers) {
        const PickleId* entry = values.find(dict, name);
        if (entry != nullptr && (wraps ? is(values, *entry, PickleKind::dict) : holds_tensors(*entry)))
          found.emplace_back(name, *entry);
      }
    }
    if (found.empty()) {
      const bool is_dict = is(values, dict, PickleKind::dict);
      const std::string message = "holds " +
                                  (is_dict ? keys_text(values, dict) : std::string(kind_name(values[dict].kind))) +
                                  (path.empty() ? "" : " under " + quoted(path)) + ", not a state dict";
      const auto& items = values[dict].items;
      for (std::size_t i = 0; is_dict && i + 1 < items.size(); i += 2) {
        if (!is(values, items[i], PickleKind::string) || !holds_tensors(items[i + 1])) continue;
        fail(ErrorCode::import_failed, message, where_,
             "save the entry that holds the weights by itself: c = torch.load(\"" + where_ + "\"); torch.save(c[" +
                 quoted(values[items[i]].text) + "], \"model.pth\")");
      }
      reject(message);
    }
    path += (path.empty() ? "" : ".") + std::string(found.front().first);
    dict = found.front().second;
    std::string others;
    for (std::size_t i = 1; i < found.size(); ++i) others += (i == 1 ? "" : ", ") + quoted(found[i].first);
    if (!others.empty()) notes.push_back("took the weights under " + quoted(path) + " (not " + others + ")");
  }
  if (!path.empty()) notes.push_back("opened the checkpoint's entry " + quoted(path));

  std::vector<SourceTensor> result;
  std::set<std::string_view> names;
  std::size_t skipped = 0;
  const auto& items = values[dict].items;
  check_tensor_count(static_cast<std::size_t>(
      std::count_if(items.begin(), items.end(), [&](PickleId item) { return is(values, item, PickleKind::tensor); })));
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const PickleValue& key = values[items[i]];
    if (key.kind != PickleKind::string || !is(values, items[i + 1], PickleKind::tensor)) {
      ++skipped;
      continue;
    }
    if (!names.insert(key.text).second) reject("two tensors are named " + quoted(key.text));
    result.push_back(tensors_[static_cast<std::size_t>(values[items[i + 1]].number)]);
    result.back().name = std::string(key.text);
  }
  if (skipped > 0) notes.push_back("skipped " + std::to_string(skipped) + " entries that are no tensors");
  return result;
}

}  // namespace resnet::convert
