#include "unit/model/model_bytes.hpp"

#include <cstring>
#include <stdexcept>

#include "model/model_file.hpp"

namespace resnet::testing {

std::string header_of(const Bytes& file) {
  std::uint64_t length;
  std::memcpy(&length, file.data(), sizeof length);
  return {reinterpret_cast<const char*>(file.data()) + 8, length};
}

Bytes from_text(std::string_view text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

Bytes with_header(const Bytes& file, std::string_view header) {
  const std::uint64_t length = header.size();
  Bytes result(8);
  std::memcpy(result.data(), &length, sizeof length);
  const Bytes text = from_text(header);
  result.insert(result.end(), text.begin(), text.end());
  const auto data = file.begin() + static_cast<std::ptrdiff_t>(8 + header_of(file).size());
  result.insert(result.end(), data, file.end());
  return result;
}

Bytes replaced(const Bytes& file, std::string_view from, std::string_view to) {
  std::string header = header_of(file);
  const std::size_t at = header.find(from);
  if (at == std::string::npos) throw std::logic_error("not in the header: " + std::string(from));
  if (header.find(from, at + 1) != std::string::npos)
    throw std::logic_error("twice in the header: " + std::string(from));
  return with_header(file, header.replace(at, from.size(), to));
}

Error refusal(const Bytes& file) {
  return error_of([&] { ModelFile::from_memory(file, "bad.rne"); });
}

}  // namespace resnet::testing
