#include "fuzz/import_fuzz.hpp"

#include <string>
#include <utility>

#include "convert/child.hpp"
#include "convert/importers/importer.hpp"
#include "convert/importers/keras_graph.hpp"
#include "convert/importers/pickle.hpp"
#include "convert/importers/torch_objects.hpp"
#include "convert/materialise.hpp"
#include "resnet_engine/error.hpp"

namespace resnet::convert::fuzz {
namespace {

void read_all(const Importer& importer, const SourceFile& file) {
  const Imported named = importer.read(file);
  for (const SourceTensor& tensor : named.tensors) {
    if (size_of(tensor.type) == 0) continue;  // listed, never read
    const auto storage = named.storages->read(tensor.storage);
    try {
      materialise(tensor, storage, WeightOrder::oihw_to_krsc);
    } catch (const Error& error) {
      // Integers, NaN: legal to read, refused as weights.
      if (error.code() != ErrorCode::bad_dtype && error.code() != ErrorCode::nonfinite_weight) throw;
    }
  }
}

}  // namespace

bool read_as(const Importer& importer, std::vector<std::byte> bytes) {
  try {
    read_all(importer, SourceFile::from_bytes(std::move(bytes), "fuzz"));
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool read_file(std::vector<std::byte> bytes) {
  try {
    const SourceFile file = SourceFile::from_bytes(std::move(bytes), "fuzz");
    read_all(find_importer(file), file);
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool read_limited(const Importer& importer, std::vector<std::byte> bytes) {
  const SourceFile file = SourceFile::from_bytes(std::move(bytes), "fuzz");
  try {
    run_limited(
        [&] {
          read_all(importer, file);
          return ChildOutput{};
        },
        limits_for(file.size()), {}, "fuzz");
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool read_keras_json(std::string_view json) {
  try {
    keras_graph(parse_keras_model(json, "fuzz"), 3, "fuzz");
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

// RESNET_FUZZ_CALL is one of the calls above on `bytes` or `text`.
#ifdef RESNET_FUZZ_CALL
#include <cstdint>
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace resnet::convert;
  std::vector<std::byte> bytes(size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  [[maybe_unused]] const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz::RESNET_FUZZ_CALL;
  return 0;
}
#endif
