#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/source_file.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// An HDF5 file, read through libhdf5 from the bytes of a SourceFile: the library opens nothing itself. Links to other
/// objects or files, data that lies outside the file, virtual datasets and filters beyond deflate, shuffle and
/// Fletcher-32 are refused. libhdf5 is known to crash on damaged files: use inside the limited child. Not thread-safe.
class Hdf5File {
 public:
  /// @param source outlives this object
  /// @throws Error import_failed when libhdf5 cannot open it
  explicit Hdf5File(const SourceFile& source);
  ~Hdf5File();
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;

  struct Dataset {
    std::string path;  ///< "model_weights/conv1/conv1/kernel:0"
    SourceType type = SourceType::f32;
    TensorShape shape;
  };

  /// Whether the path (from the root, without a leading slash) leads to a group, over groups only.
  bool has_group(const std::string& path) const;
  /// A dataset's type and shape. @throws Error import_failed when there is none or it is refused
  Dataset dataset(const std::string& path) const;
  /// All datasets below a group ("" for the root). A group that is linked in two places is refused: walking it once per
  /// path would take for ever. @throws Error import_failed, limit_exceeded
  std::vector<Dataset> datasets(const std::string& group) const;
  /// Which group of the file a path leads to. @throws Error import_failed when there is none
  std::uint64_t identity(const std::string& group) const;

  /// A text attribute of a group or dataset, or nothing. @throws Error import_failed when it is no text
  std::optional<std::string> text(const std::string& object, const std::string& name) const;
  /// A list of texts, also one that is split into NAME0, NAME1 ... because it is long. An empty array of any type is
  /// an empty list.
  std::optional<std::vector<std::string>> texts(const std::string& object, const std::string& name) const;

  /// All values of a dataset, row-major, little endian.
  std::vector<std::byte> read(const Dataset& dataset) const;

 private:
  struct Handle;
  [[noreturn]] void reject(const std::string& message, const std::string& object, std::string next = {}) const;
  [[noreturn]] void reject_size(const std::string& group) const;
  [[noreturn]] void reject_text(const std::string& attribute) const;
  /// Names in a group, in the file's order.
  std::vector<std::string> children(const std::string& group) const;
  // These two trust the path to lead over hard links only.
  bool is_group(const std::string& path) const;
  Dataset describe(const std::string& path) const;

  const SourceFile& source_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace resnet::convert
