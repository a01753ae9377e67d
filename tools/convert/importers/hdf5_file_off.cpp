// Compiled in place of hdf5_file.cpp in a build without libhdf5.
#include "base/check.hpp"
#include "convert/importers/hdf5_file.hpp"

namespace resnet::convert {

struct Hdf5File::Handle {};

Hdf5File::Hdf5File(const SourceFile& source) : source_(source) {
  fail(ErrorCode::import_failed, "holds HDF5 data (Keras), and this resnet_convert was built without libhdf5",
       source.name(), "install libhdf5-dev, configure and build again");
}
Hdf5File::~Hdf5File() = default;
bool Hdf5File::has_group(const std::string&) const { return false; }
Hdf5File::Dataset Hdf5File::dataset(const std::string&) const { return {}; }
std::vector<Hdf5File::Dataset> Hdf5File::datasets(const std::string&) const { return {}; }
std::uint64_t Hdf5File::identity(const std::string&) const { return 0; }
std::optional<std::string> Hdf5File::text(const std::string&, const std::string&) const { return std::nullopt; }
std::optional<std::vector<std::string>> Hdf5File::texts(const std::string&, const std::string&) const {
  return std::nullopt;
}
std::vector<std::byte> Hdf5File::read(const Dataset&) const { return {}; }

}  // namespace resnet::convert
