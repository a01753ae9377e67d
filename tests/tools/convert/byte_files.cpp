#include "tools/convert/byte_files.hpp"

#include <cstring>

namespace resnet::test {
namespace {

std::string little_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::uint32_t crc32(std::string_view data) {
  std::uint32_t crc = ~0u;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

}  // namespace

std::vector<std::byte> to_bytes(std::string_view text) {
  std::vector<std::byte> bytes(text.size());
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

namespace pickle {

std::string text(std::string_view value) { return 'X' + little_endian(value.size(), 4) + std::string(value); }
std::string integer(std::int32_t value) { return 'J' + little_endian(static_cast<std::uint32_t>(value), 4); }
std::string global(std::string_view module, std::string_view name) {
  return 'c' + std::string(module) + '\n' + std::string(name) + '\n';
}
std::string tuple(std::string_view items) { return '(' + std::string(items) + 't'; }
std::string reduce(std::string_view callable, std::string_view arguments) {
  return std::string(callable) + std::string(arguments) + 'R';
}
std::string dict(std::string_view pairs) { return "}(" + std::string(pairs) + 'u'; }

}  // namespace pickle

std::string torch_storage(std::string_view type, std::string_view key, std::int32_t elements) {
  using namespace pickle;
  return tuple(text("storage") + global("torch", type) + text(key) + text("cpu") + integer(elements)) + 'Q';
}

std::string torch_tensor(std::string_view storage, std::int32_t offset, const std::vector<std::int32_t>& size,
                         const std::vector<std::int32_t>& stride) {
  using namespace pickle;
  std::string sizes, strides;
  for (const std::int32_t value : size) sizes += integer(value);
  for (const std::int32_t value : stride) strides += integer(value);
  return reduce(global("torch._utils", "_rebuild_tensor_v2"),
                tuple(std::string(storage) + integer(offset) + tuple(sizes) + tuple(strides) + '\x89' +
                      reduce(global("collections", "OrderedDict"), ")")));
}

ZipBytes& ZipBytes::add(std::string_view name, std::string_view data, const Options& options) {
  Entry entry{std::string(name), options, crc32(data) ^ options.crc_xor, 0, static_cast<std::uint32_t>(data_.size())};
  entry.size = static_cast<std::uint32_t>(options.claimed_size < 0 ? static_cast<std::int64_t>(data.size())
                                                                   : options.claimed_size);
  data_ += "PK\3\4" + little_endian(20, 2) + little_endian(options.flags, 2) + little_endian(options.method, 2) +
           little_endian(0, 4) + little_endian(entry.crc, 4) + little_endian(entry.size, 4) +
           little_endian(entry.size, 4) + little_endian(name.size(), 2) + little_endian(0, 2) + entry.name +
           std::string(data);
  entries_.push_back(std::move(entry));
  return *this;
}

ZipBytes& ZipBytes::alias(std::string_view name, std::size_t of) {
  Entry entry = entries_.at(of);
  entry.name = name;
  entries_.push_back(std::move(entry));
  return *this;
}

std::string ZipBytes::bytes(std::string_view comment) const {
  std::string directory;
  for (const Entry& entry : entries_) {
    directory += "PK\1\2" + little_endian(20, 2) + little_endian(20, 2) + little_endian(entry.options.flags, 2) +
                 little_endian(entry.options.method, 2) + little_endian(0, 4) + little_endian(entry.crc, 4) +
                 little_endian(entry.size, 4) + little_endian(entry.size, 4) + little_endian(entry.name.size(), 2) +
                 little_endian(0, 2) + little_endian(0, 2) + little_endian(0, 2) + little_endian(0, 2) +
                 little_endian(0, 4) + little_endian(entry.offset, 4) + entry.name;
  }
  return data_ + directory + "PK\5\6" + little_endian(0, 4) + little_endian(entries_.size(), 2) +
         little_endian(entries_.size(), 2) + little_endian(directory.size(), 4) + little_endian(data_.size(), 4) +
         little_endian(comment.size(), 2) + std::string(comment);
}

std::string torch_file(const std::vector<TorchTensor>& tensors) {
  std::string pairs;
  ZipBytes zip;
  std::vector<std::pair<std::string, std::string>> data;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TorchTensor& tensor = tensors[i];
    std::vector<std::int32_t> stride(tensor.shape.size());
    std::int32_t step = 1;
    for (std::size_t axis = tensor.shape.size(); axis-- > 0; step *= tensor.shape[axis]) stride[axis] = step;
    const std::string key = std::to_string(i);
    pairs += pickle::text(tensor.name) +
             torch_tensor(torch_storage("FloatStorage", key, static_cast<std::int32_t>(tensor.values.size())), 0,
                          tensor.shape, stride);
    std::string bytes(tensor.values.size() * sizeof(float), '\0');
    if (!bytes.empty()) std::memcpy(bytes.data(), tensor.values.data(), bytes.size());
    data.emplace_back("archive/data/" + key, std::move(bytes));
  }
  zip.add("archive/data.pkl", pickle::start() + pickle::dict(pairs) + pickle::stop());
  for (const auto& [name, bytes] : data) zip.add(name, bytes);
  zip.add("archive/version", "3\n");
  return zip.bytes();
}

}  // namespace resnet::test
