#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/error_of.hpp"

// Small files of foreign formats, byte by byte, so that each test can break exactly one of them.
namespace resnet::test {

std::vector<std::byte> to_bytes(std::string_view text);

/// Opcodes of a pickle, as text to be joined.
namespace pickle {
inline std::string start() { return std::string("\x80\x02", 2); }
inline std::string stop() { return "."; }
std::string text(std::string_view value);  ///< BINUNICODE
std::string integer(std::int32_t value);   ///< BININT
std::string global(std::string_view module, std::string_view name);
std::string tuple(std::string_view items);  ///< MARK items TUPLE
std::string reduce(std::string_view callable, std::string_view arguments);
std::string dict(std::string_view pairs);  ///< EMPTY_DICT MARK pairs SETITEMS
}  // namespace pickle

/// A storage's persistent id and BINPERSID.
std::string torch_storage(std::string_view type, std::string_view key, std::int32_t elements);
/// _rebuild_tensor_v2 of a storage.
std::string torch_tensor(std::string_view storage, std::int32_t offset, const std::vector<std::int32_t>& size,
                         const std::vector<std::int32_t>& stride);

/// A zip file written record by record, uncompressed.
class ZipBytes {
 public:
  struct Options {
    std::uint16_t method = 0;  ///< as the headers claim
    std::uint16_t flags = 0;
    std::uint32_t crc_xor = 0;       ///< to claim a wrong CRC
    std::int64_t claimed_size = -1;  ///< in both headers, -1 for the truth
  };
  ZipBytes& add(std::string_view name, std::string_view data) { return add(name, data, Options()); }
  ZipBytes& add(std::string_view name, std::string_view data, const Options& options);
  /// Another directory entry that points to the data of entry `of`.
  ZipBytes& alias(std::string_view name, std::size_t of);
  std::string bytes(std::string_view comment = {}) const;

 private:
  struct Entry {
    std::string name;
    Options options;
    std::uint32_t crc = 0, size = 0, offset = 0;
  };
  std::string data_;
  std::vector<Entry> entries_;
};

/// What torch.save writes for a state dict of these f32 tensors, each with a storage of its own.
struct TorchTensor {
  std::string name;
  std::vector<std::int32_t> shape;
  std::vector<float> values;  ///< as many as the shape needs
};
std::string torch_file(const std::vector<TorchTensor>& tensors);

}  // namespace resnet::test
