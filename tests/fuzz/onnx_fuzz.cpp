#include "fuzz/onnx_fuzz.hpp"

#include <utility>

#include "convert/importers/importer.hpp"
#include "convert/materialise.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::convert::fuzz {

bool read_onnx(std::vector<std::byte> bytes) {
  try {
    const SourceFile file = SourceFile::from_bytes(std::move(bytes), "fuzz");
    const Imported named = onnx_importer.read(file);
    TensorTable table;
    for (const SourceTensor& tensor : named.tensors) {
      const auto storage = named.storages->read(tensor.storage);
      const Materialised value = materialise(tensor, storage, WeightOrder::oihw_to_krsc);
      table[tensor.name] = {value.dtype, value.shape};
    }
    build_graph(named.graph->layers, named.graph->output, std::move(table));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace resnet::convert::fuzz

#ifdef RESNET_LIBFUZZER
#include <cstdint>
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  resnet::convert::fuzz::read_onnx(std::move(bytes));
  return 0;
}
#endif
