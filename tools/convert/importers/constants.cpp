#include "convert/importers/constants.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "convert/importers/importer.hpp"

namespace resnet::convert {
namespace {

class WithConstants final : public StorageReader {
 public:
  WithConstants(std::shared_ptr<const StorageReader> file, std::size_t first, std::vector<Constant> constants)
      : file_(std::move(file)), first_(first), constants_(std::move(constants)) {}
  std::vector<std::byte> read(std::size_t storage) const override {
    if (storage < first_) return file_->read(storage);
    const std::vector<float>& values = constants_.at(storage - first_).values;
    std::vector<std::byte> bytes(values.size() * sizeof(float));
    if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }

 private:
  std::shared_ptr<const StorageReader> file_;
  std::size_t first_;
  std::vector<Constant> constants_;
};

}  // namespace

void add_constants(Imported& imported, std::vector<Constant> constants) {
  if (constants.empty()) return;
  std::size_t first = 0;
  for (const SourceTensor& tensor : imported.tensors) first = std::max(first, tensor.storage + 1);
  for (std::size_t i = 0; i < constants.size(); ++i) {
    SourceTensor tensor;
    tensor.name = constants[i].name;
    tensor.shape = {static_cast<std::int64_t>(constants[i].values.size())};
    tensor.strides = {1};
    tensor.storage = first + i;
    imported.tensors.push_back(std::move(tensor));
  }
  imported.storages = std::make_shared<WithConstants>(imported.storages, first, std::move(constants));
}

}  // namespace resnet::convert
