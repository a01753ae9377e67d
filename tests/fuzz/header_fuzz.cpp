// The reader of .rne files under mutated bytes: an Error or a model whose tensors can be read, nothing else.
//
// The first byte chooses what the rest is: a whole file (the golden files start with other bytes than 1 and 2), header
// text under a right length, or a layer list inside the golden file. Otherwise nearly no mutation would get past the
// header's length or the escaped quotes.
#include <cstring>
#include <string>

#include "golden/golden_model.hpp"
#include "model/graph_json.hpp"

namespace {

using resnet::testing::GoldenModel;

std::vector<std::byte> file_of(std::string_view header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::vector<std::byte> file(8 + header.size() + data_bytes);
  std::memcpy(file.data(), &length, sizeof length);
  if (!header.empty()) std::memcpy(file.data() + 8, header.data(), header.size());
  return file;
}

void read_everything(std::vector<std::byte> file) {
  const auto model = resnet::ModelFile::from_memory(std::move(file), "fuzz.rne");
  for (const resnet::StoredTensor& tensor : model->header().tensors) {
    std::vector<float> values(tensor.bytes / resnet::size_of(tensor.dtype));
    try {
      model->read_f32(tensor, values);
    } catch (const resnet::Error&) {  // a wrong checksum or a NaN; the next tensor may be whole
    }
  }
}

/// The layer list goes through the writer, which reads its own output back.
void write_layers(std::string_view text) {
  static const GoldenModel golden(resnet::DType::f32);
  resnet::LayerList list = resnet::parse_layers(text, "fuzz");
  resnet::ModelToWrite model = golden.to_write();
  model.layers = std::move(list.layers);
  model.output = std::move(list.output);
  read_everything(resnet::serialise(model));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (size > 0 && data[0] == 1) {
      read_everything(file_of(bytes.substr(1), 404));
    } else if (size > 0 && data[0] == 2) {
      write_layers(bytes.substr(1));
    } else {
      const auto* begin = reinterpret_cast<const std::byte*>(data);
      read_everything({begin, begin + size});
    }
  } catch (const resnet::Error& error) {
    if (error.code() == resnet::ErrorCode::internal) throw;  // a crash for the fuzzer
  }
  return 0;
}
