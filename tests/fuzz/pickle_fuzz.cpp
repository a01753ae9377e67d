#include "fuzz/pickle_fuzz.hpp"

#include <string>
#include <utility>

#include "convert/importers/importer.hpp"
#include "convert/importers/pickle.hpp"
#include "convert/importers/torch_objects.hpp"
#include "convert/materialise.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::convert::fuzz {

bool read_file(std::vector<std::byte> bytes) {
  try {
    const SourceFile file = SourceFile::from_bytes(std::move(bytes), "fuzz");
    const Imported named = find_importer(file).read(file);
    for (const SourceTensor& tensor : named.tensors) {
      const auto storage = named.storages->read(tensor.storage);
      try {
        materialise(tensor, storage, WeightOrder::oihw_to_krsc);
      } catch (const Error& error) {
        // Integers, NaN: legal to read, refused as weights.
        if (error.code() != ErrorCode::bad_dtype && error.code() != ErrorCode::nonfinite_weight) throw;
      }
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool read_pickle_bytes(const std::vector<std::byte>& bytes) {
  try {
    const PickleLimits limits;
    PickleValues values(limits);
    TorchObjects objects("fuzz");
    std::vector<std::string> notes;
    objects.state_dict(values, read_pickle(bytes, values, objects, limits, "fuzz"), notes);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace resnet::convert::fuzz

#ifdef RESNET_LIBFUZZER
#include <cstdint>
#include <cstring>

// The first byte chooses: even = a whole file, odd = a pickle.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::vector<std::byte> bytes(size - 1);
  if (size > 1) std::memcpy(bytes.data(), data + 1, size - 1);
  if (data[0] % 2 == 0) {
    resnet::convert::fuzz::read_file(std::move(bytes));
  } else {
    resnet::convert::fuzz::read_pickle_bytes(bytes);
  }
  return 0;
}
#endif
