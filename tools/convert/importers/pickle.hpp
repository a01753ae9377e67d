#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace resnet::convert {

/// What pickle values are here: plain records. Nothing is imported, looked up or called.
enum class PickleKind : std::uint8_t {
  none,
  boolean,
  integer,
  real,
  string,
  tuple,
  list,
  dict,
  set,
  global,   ///< `number` = what PickleHost::global returned
  storage,  ///< `number` = the host's index
  tensor,   ///< `number` = the host's index
  ignored,  ///< an object that is parsed and skipped
};

using PickleId = std::uint32_t;

struct PickleValue {
  PickleKind kind = PickleKind::none;
  int depth = 0;            ///< 1 + that of the deepest item
  std::int64_t number = 0;  ///< boolean, integer, global, storage, tensor
  double real = 0;
  std::string_view text;        ///< string; points into the pickle
  std::vector<PickleId> items;  ///< tuple, list, set; dict: key, value, key, value ...
};

struct PickleLimits {
  std::size_t opcodes = 1'000'000;
  std::size_t stack = 10'000;
  std::size_t memo = 1'000'000;
  std::size_t string_bytes = 1u << 20;
  std::size_t items = 2'000'000;  ///< in all containers together
  int depth = 64;                 ///< nesting of containers and of open marks
};

/// All values of one pickle. Handles stay valid; containers may be shared and may even contain themselves, so walk them
/// by explicit levels, never recursively.
class PickleValues {
 public:
  explicit PickleValues(const PickleLimits& limits) : limits_(limits) {}
  PickleId add(PickleValue value);
  PickleId add(PickleKind kind, std::int64_t number = 0);
  const PickleValue& operator[](PickleId id) const { return values_[id]; }
  /// Appends items to a container. @throws Error limit_exceeded for depth or the number of items
  void append(PickleId container, std::span<const PickleId> items);
  /// The value of a string key (the last one counts, as in Python), or null.
  const PickleId* find(PickleId dict, std::string_view key) const;

 private:
  PickleLimits limits_;
  std::vector<PickleValue> values_;
  std::size_t items_ = 0;
};

/// The meaning of the four opcodes through which a pickle would run code. An implementation builds records.
class PickleHost {
 public:
  virtual ~PickleHost() = default;
  /// A number for an allowed global. @throws Error import_failed that names any other
  virtual std::int64_t global(std::string_view module, std::string_view name) = 0;
  virtual PickleId reduce(PickleValues& values, PickleId callable, PickleId arguments) = 0;
  virtual PickleId persistent(PickleValues& values, PickleId id) = 0;
};

/// Runs the opcodes that torch.save writes (protocol 2) and refuses every other by name.
/// Bounded by `limits`; memory is linear in the length of `pickle`, which must outlive `values`.
/// @param length if given, the pickle is only the beginning of the bytes, and this is where it ends
/// @throws Error import_failed (with byte offset), limit_exceeded
PickleId read_pickle(std::span<const std::byte> pickle, PickleValues& values, PickleHost& host,
                     const PickleLimits& limits, const std::string& where, std::size_t* length = nullptr);

}  // namespace resnet::convert
