#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/importers/pickle.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// Largest pickle that describes a file's tensors.
inline constexpr std::uint64_t max_torch_pickle_bytes = 16u << 20;

/// A storage that a PyTorch pickle names.
struct TorchStorage {
  std::string key;  ///< entry "<root>/data/<key>" of a zip file
  SourceType type = SourceType::f32;
  std::int64_t elements = 0;
};

/// What pickles written by torch.save may refer to: a fixed list of names, each of which stands for a record that is
/// built here. Everything else is refused by name.
class TorchObjects final : public PickleHost {
 public:
  explicit TorchObjects(std::string where) : where_(std::move(where)) {}

  std::int64_t global(std::string_view module, std::string_view name) override;
  PickleId reduce(PickleValues& values, PickleId callable, PickleId arguments) override;
  PickleId persistent(PickleValues& values, PickleId id) override;

  const std::vector<TorchStorage>& storages() const { return storages_; }

  // For the container whose tensors are listed outside of the pickle.
  /// The element type that a value of kind `global` names a storage of, if it does.
  static std::optional<SourceType> storage_type(const PickleValue& global);
  /// The number of the value of kind `tensor` that stands for it. The view must have been checked.
  std::size_t add_tensor(SourceTensor tensor);

  /// The tensors of the state dict in `root`: those of a dict of tensors, or of the first wrapper entry
  /// ("state_dict", "model" ...) that holds one. Adds a note when a wrapper was opened or entries were skipped.
  /// @throws Error import_failed that says what the file holds instead
  std::vector<SourceTensor> state_dict(const PickleValues& values, PickleId root,
                                       std::vector<std::string>& notes) const;

 private:
  [[noreturn]] void reject(const std::string& message) const;
  PickleId make_tensor(PickleValues& values, const std::vector<PickleId>& arguments);

  /// The part of a storage that a persistent id means: all of it but for old files' views.
  struct Part {
    std::size_t storage = 0;
    std::int64_t first = 0, elements = 0;
  };
  Part part_of(const PickleValues& values, std::size_t storage, PickleId view) const;

  std::string where_;
  std::vector<TorchStorage> storages_;
  std::map<std::string, std::size_t, std::less<>> storage_by_key_;
  std::vector<Part> parts_;            ///< what values of kind `storage` number
  std::vector<SourceTensor> tensors_;  ///< unnamed, checked
};

}  // namespace resnet::convert
