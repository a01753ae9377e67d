#include "convert/importers/hdf5_file.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>
#include <map>
#include <new>
#include <span>
#include <utility>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "common/little_endian.hpp"

namespace resnet::convert {
namespace {

static_assert(std::endian::native == std::endian::little);

// A ResNet-152 with its optimizer's state has 4,000 objects.
constexpr std::size_t max_objects = 20'000, max_depth = 32, max_text_bytes = 16u << 20;

/// Owner of one libhdf5 identifier.
class Id {
 public:
  Id() = default;
  Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Id& operator=(Id&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Id() {
    if (id_ >= 0) close_(id_);
  }
  explicit operator bool() const { return id_ >= 0; }
  hid_t get() const { return id_; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

// libhdf5's file driver: how it reads bytes. Ours hands out those of a SourceFile; nothing can be written.
struct DriverFile {
  H5FD_t common;  ///< first: the library casts
  const SourceFile* source;
  haddr_t end_of_addresses;
};
const DriverFile& driver_file(const H5FD_t* file) { return *reinterpret_cast<const DriverFile*>(file); }

H5FD_t* driver_open(const char*, unsigned, hid_t access, haddr_t) {
  const void* info = H5Pget_driver_info(access);
  if (info == nullptr) return nullptr;
  auto* file = new (std::nothrow) DriverFile{};
  if (file == nullptr) return nullptr;
  std::memcpy(&file->source, info, sizeof file->source);
  return &file->common;
}
herr_t driver_close(H5FD_t* file) {
  delete reinterpret_cast<DriverFile*>(file);
  return 0;
}
herr_t driver_query(const H5FD_t*, unsigned long* flags) {
  if (flags != nullptr) *flags = H5FD_FEAT_ACCUMULATE_METADATA_READ | H5FD_FEAT_DATA_SIEVE;
  return 0;
}
haddr_t driver_end_of_addresses(const H5FD_t* file, H5FD_mem_t) { return driver_file(file).end_of_addresses; }
herr_t driver_set_end(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  reinterpret_cast<DriverFile*>(file)->end_of_addresses = address;
  return 0;
}
haddr_t driver_end_of_file(const H5FD_t* file, H5FD_mem_t) { return driver_file(file).source->size(); }

/// Variable-length texts lie in collections: "GCOL", version 1, 3 bytes, size (8 bytes, as h5py writes lengths); then
/// objects of index (2), references (2), 4 bytes, size (8), content. libhdf5 1.10 walks them for ever where a size is
/// zero or wraps, so they are walked here first.
/// @param bytes a collection, its beginning, or anything else
bool is_damaged_collection(std::span<const std::byte> bytes) {
  constexpr std::size_t header = 16;
  if (bytes.size() < header || std::memcmp(bytes.data(), "GCOL\1", 5) != 0) return false;
  const std::uint64_t claimed = tools::little_endian(bytes.subspan(8, 8));
  const bool whole = claimed <= bytes.size();
  if (whole) bytes = bytes.first(static_cast<std::size_t>(claimed));
  for (std::size_t at = header; at + header <= bytes.size();) {
    const bool is_free = bytes[at] == std::byte{} && bytes[at + 1] == std::byte{};  // free space counts its header
    const std::uint64_t size = tools::little_endian(bytes.subspan(at + 8, 8));
    if (size > bytes.size() - at) return whole;
    const std::uint64_t step = is_free ? size : header + (size + 7) / 8 * 8;
    if (step == 0) return true;
    at += static_cast<std::size_t>(step);
  }
  return false;
}

herr_t driver_read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t bytes, void* out) {
  try {
    const std::span to(static_cast<std::byte*>(out), bytes);
    driver_file(file).source->read(address, to);
    return is_damaged_collection(to) ? -1 : 0;
  } catch (...) {  // C code is above
    return -1;
  }
}
herr_t driver_write(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, std::size_t, const void*) { return -1; }

H5FD_class_t driver_class() {
  H5FD_class_t driver{};
#if H5_VERSION_GE(1, 14, 0)
  driver.version = H5FD_CLASS_VERSION;
  driver.value = 511;
#endif
  driver.name = "resnet_source";
  driver.maxaddr = INT64_MAX;
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.fapl_size = sizeof(const SourceFile*);
  driver.open = driver_open;
  driver.close = driver_close;
  driver.query = driver_query;
  driver.get_eoa = driver_end_of_addresses;
  driver.set_eoa = driver_set_end;
  driver.get_eof = driver_end_of_file;
  driver.read = driver_read;
  driver.write = driver_write;
  return driver;
}

std::string joined(const std::string& group, std::string_view name) {
  return group.empty() ? std::string(name) : group + '/' + std::string(name);
}

/// IEEE binary16 as h5py writes it.
bool is_half(hid_t type) {
  std::size_t sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
  return H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 && sign == 15 &&
         exponent == 10 && exponent_bits == 5 && mantissa == 0 && mantissa_bits == 10 && H5Tget_ebias(type) == 15 &&
         H5Tget_order(type) == H5T_ORDER_LE;
}

SourceType source_type(hid_t type) {
  const std::size_t bytes = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      if (H5Tequal(type, H5T_IEEE_F32LE) > 0) return SourceType::f32;
      if (H5Tequal(type, H5T_IEEE_F64LE) > 0) return SourceType::f64;
      return bytes == 2 && is_half(type) ? SourceType::f16 : SourceType::other;
    case H5T_OPAQUE:  // h5py has no name for bfloat16, which Keras therefore writes as two opaque bytes
      return bytes == 2 ? SourceType::bf16 : SourceType::other;
    case H5T_INTEGER:
      return bytes == 8 ? SourceType::i64 : bytes == 4 ? SourceType::i32 : SourceType::other;
    default:
      return SourceType::other;
  }
}

/// What the values of a dataset are that has no SourceType.
std::string type_name(hid_t type) {
  const std::string bytes = std::to_string(H5Tget_size(type));
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      return H5Tget_order(type) == H5T_ORDER_BE ? "big-endian floats" : bytes + "-byte floats of an unknown format";
    case H5T_INTEGER:
      return bytes + "-byte integers";
    case H5T_COMPOUND:
      return "compound values such as complex numbers";
    case H5T_ENUM:
      return "truth values or another enumeration";
    case H5T_OPAQUE:
      return "opaque values of " + bytes + " bytes";
    default:
      return "values that are no numbers";
  }
}

constexpr const char* save_as_floats = "save the model again in float32, float16 or bfloat16";

}  // namespace

struct Hdf5File::Handle {
  Id driver, access, file;
};

void Hdf5File::reject(const std::string& message, const std::string& object, std::string next) const {
  if (next.empty()) next = "save the model again with Keras";
  fail(ErrorCode::import_failed, message, object.empty() ? source_.name() : source_.name() + ": " + object,
       std::move(next));
}

void Hdf5File::reject_size(const std::string& group) const {
  fail(ErrorCode::limit_exceeded, "holds more than " + std::to_string(max_objects) + " objects",
       group.empty() ? source_.name() : source_.name() + ": " + group, "save the model alone, without other data");
}

Hdf5File::Hdf5File(const SourceFile& source) : source_(source), handle_(std::make_unique<Handle>()) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);  // no filter comes from a shared library
  static const H5FD_class_t driver = driver_class();
  handle_->driver = Id(H5FDregister(&driver), H5FDunregister);
  handle_->access = Id(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  const SourceFile* pointer = &source;
  if (!handle_->driver || !handle_->access || H5Pset_driver(handle_->access.get(), handle_->driver.get(), &pointer) < 0)
    reject("libhdf5 could not be set up", "", "report this");
  handle_->file = Id(H5Fopen(source.name().c_str(), H5F_ACC_RDONLY, handle_->access.get()), H5Fclose);
  if (!handle_->file) {
    reject("is no HDF5 file that libhdf5 can open (truncated or damaged)", "", "download or copy it again");
  }
}

Hdf5File::~Hdf5File() = default;

void Hdf5File::reject_text(const std::string& attribute) const {
  fail(ErrorCode::limit_exceeded, "is longer than 16 MiB", source_.name() + ": " + attribute,
       "convert a smaller model, or export ONNX");
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
  struct Found {
    std::vector<std::string> names;
    std::string linked;  ///< one that is no hard link
    bool too_many = false;
  } found;
  const Id id(H5Gopen2(handle_->file.get(), group.empty() ? "/" : group.c_str(), H5P_DEFAULT), H5Gclose);
  if (!id) reject("the group cannot be opened", group);
  const auto visit = [](hid_t, const char* name, const H5L_info_t* info, void* out) -> herr_t {
    auto& into = *static_cast<Found*>(out);
    if (info->type != H5L_TYPE_HARD) {
      into.linked = name;
      return 1;
    }
    into.too_many = into.names.size() >= max_objects;
    if (into.too_many) return 1;
    into.names.emplace_back(name);
    return 0;
  };
  if (H5Literate(id.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, visit, &found) < 0)
    reject("the group cannot be listed", group);
  if (!found.linked.empty())
    reject("is a link to another place or file, which is not followed", joined(group, found.linked));
  if (found.too_many) reject_size(group);
  return std::move(found.names);
}

bool Hdf5File::is_group(const std::string& path) const {
  const Id object(H5Oopen(handle_->file.get(), path.empty() ? "/" : path.c_str(), H5P_DEFAULT), H5Oclose);
  return object && H5Iget_type(object.get()) == H5I_GROUP;
}

bool Hdf5File::has_group(const std::string& path) const {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    H5L_info_t link;
    if (!part.empty() &&
        (H5Lget_info(handle_->file.get(), part.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD))
      return false;
  }
  return is_group(path);
}

Hdf5File::Dataset Hdf5File::dataset(const std::string& path) const {
  const std::size_t slash = path.rfind('/');
  H5L_info_t link;
  if ((slash != std::string::npos && !has_group(path.substr(0, slash))) ||
      H5Lget_info(handle_->file.get(), path.c_str(), &link, H5P_DEFAULT) < 0)
    reject("the dataset is missing", path, "the file is damaged; save the model again");
  if (link.type != H5L_TYPE_HARD) reject("is a link to another place or file, which is not followed", path);
  return describe(path);
}

Hdf5File::Dataset Hdf5File::describe(const std::string& path) const {
  const Id id(H5Dopen2(handle_->file.get(), path.c_str(), H5P_DEFAULT), H5Dclose);
  if (!id) reject("the dataset cannot be opened", path);
  const Id type(H5Dget_type(id.get()), H5Tclose), space(H5Dget_space(id.get()), H5Sclose),
      creation(H5Dget_create_plist(id.get()), H5Pclose);
  if (!type || !space || !creation) reject("the dataset's description is damaged", path);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  if (rank < 0 || rank > 8) reject("has " + std::to_string(rank) + " dimensions, 8 at most are read", path);
  std::array<hsize_t, 8> sizes{};
  if (H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr) != rank)
    reject("the dataset's shape is damaged", path);

  Dataset result{path, source_type(type.get()), {}};
  for (int i = 0; i < rank; ++i) {
    if (sizes[static_cast<std::size_t>(i)] > INT64_MAX) reject("the dataset's shape is damaged", path);
    result.shape.push_back(static_cast<std::int64_t>(sizes[static_cast<std::size_t>(i)]));
  }
  const H5T_class_t kind = H5Tget_class(type.get());  // of these, a file does not hold the values but where they are
  if (kind == H5T_VLEN || kind == H5T_REFERENCE || H5Tis_variable_str(type.get()) > 0)
    reject("holds " + type_name(type.get()) + ", which are not read", path, save_as_floats);
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  if (H5Pget_external_count(creation.get()) != 0) reject("keeps its data in another file, which is not read", path);
  if (layout == H5D_VIRTUAL) reject("is a virtual dataset, which is not read", path);
  const int filters = H5Pget_nfilters(creation.get());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(creation.get(), static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    if (filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_FLETCHER32) continue;
    reject("is compressed with HDF5 filter " + std::to_string(filter) + ", which is not read", path,
           "save it without compression, or with gzip");
  }
  const std::int64_t bytes =
      checked_mul(element_count(result.shape, path), static_cast<std::int64_t>(H5Tget_size(type.get())), path);
  const hsize_t stored = H5Dget_storage_size(id.get());
  if ((bytes > 0 && stored == 0) || (layout != H5D_CHUNKED && stored != static_cast<hsize_t>(bytes))) {
    reject("claims " + to_string(result.shape) + " values, but the file holds " + std::to_string(stored) +
               " bytes of them",
           path);
  }
  if (stored > source_.size()) reject("claims more bytes than the file has", path);
  return result;
}

std::uint64_t Hdf5File::identity(const std::string& group) const {
  const Id id(H5Gopen2(handle_->file.get(), group.empty() ? "/" : group.c_str(), H5P_DEFAULT), H5Gclose);
#if H5_VERSION_GE(1, 12, 0)
  H5O_info2_t info;
  if (!id || H5Oget_info3(id.get(), &info, H5O_INFO_BASIC) < 0) reject("the group cannot be opened", group);
  std::uint64_t address = 0;  // libhdf5's own files begin their tokens with the object's address
  std::memcpy(&address, &info.token, sizeof address);
  return address;
#else
  H5O_info_t info;
  if (!id || H5Oget_info(id.get(), &info) < 0) reject("the group cannot be opened", group);
  return info.addr;
#endif
}

std::vector<Hdf5File::Dataset> Hdf5File::datasets(const std::string& group) const {
  struct Open {
    std::string path;
    std::size_t depth;
  };
  std::vector<Open> groups = {{group, 0}};
  std::map<std::uint64_t, std::string> seen = {{identity(group), group}};
  std::vector<Dataset> found;
  std::size_t objects = 0;
  while (!groups.empty()) {
    const Open open = std::move(groups.back());
    groups.pop_back();
    for (const std::string& name : children(open.path)) {
      const std::string path = joined(open.path, name);
      if (++objects > max_objects) reject_size(group);
      if (!is_group(path)) {
        found.push_back(describe(path));
        continue;
      }
      const auto [other, added] = seen.emplace(identity(path), path);
      if (!added) reject("is the same group as \"/" + other->second + "\", which Keras never writes", path);
      if (open.depth + 1 == max_depth) {
        fail(ErrorCode::limit_exceeded, "groups are nested more than 32 deep", source_.name() + ": " + path,
             "save the model again with Keras");
      }
      groups.push_back({path, open.depth + 1});
    }
  }
  return found;
}

std::optional<std::vector<std::string>> Hdf5File::texts(const std::string& object, const std::string& name) const {
  const Id id(H5Oopen(handle_->file.get(), object.empty() ? "/" : object.c_str(), H5P_DEFAULT), H5Oclose);
  if (!id) reject("cannot be opened", object);
  const std::string where = joined(object, "@" + name);
  std::vector<std::string> result;
  if (H5Aexists(id.get(), name.c_str()) <= 0) {
    bool any = false;
    for (int part = 0; part < 10'000; ++part) {
      const std::string numbered = name + std::to_string(part);
      if (H5Aexists(id.get(), numbered.c_str()) <= 0) break;
      any = true;
      std::vector<std::string> some = *texts(object, numbered);
      std::move(some.begin(), some.end(), std::back_inserter(result));
    }
    if (!any) return std::nullopt;
    return result;
  }
  const Id attribute(H5Aopen(id.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute) reject("the attribute cannot be opened", where);
  const Id type(H5Aget_type(attribute.get()), H5Tclose), space(H5Aget_space(attribute.get()), H5Sclose);
  if (!type || !space) reject("the attribute is damaged", where);
  const hssize_t count = H5Sget_simple_extent_npoints(space.get());
  if (count == 0 || H5Sget_simple_extent_type(space.get()) == H5S_NULL) return result;
  if (count < 0 || static_cast<std::size_t>(count) > max_objects) reject("the attribute is damaged", where);
  if (H5Tget_class(type.get()) != H5T_STRING) reject("is no text", where);
  std::size_t bytes = 0;
  const auto keep = [&](const char* text, std::size_t length) {
    bytes += length;
    if (bytes > max_text_bytes) reject_text(where);
    result.emplace_back(text, length);
  };
  const auto texts_count = static_cast<std::size_t>(count);
  if (H5Tis_variable_str(type.get()) > 0) {
    std::vector<char*> values(texts_count, nullptr);
    if (H5Aread(attribute.get(), type.get(), values.data()) < 0) reject("the attribute is damaged", where);
    struct Reclaim {
      hid_t type, space;
      std::vector<char*>& values;
      ~Reclaim() { H5Dvlen_reclaim(type, space, H5P_DEFAULT, values.data()); }
    } reclaim{type.get(), space.get(), values};
    for (const char* value : values) keep(value == nullptr ? "" : value, value == nullptr ? 0 : std::strlen(value));
  } else {
    const std::size_t size = H5Tget_size(type.get());
    if (size == 0 || size > max_text_bytes || size * texts_count > max_text_bytes) reject_text(where);
    std::vector<char> values(size * texts_count);
    if (H5Aread(attribute.get(), type.get(), values.data()) < 0) reject("the attribute is damaged", where);
    for (std::size_t i = 0; i < texts_count; ++i) {
      const char* text = values.data() + i * size;
      keep(text, static_cast<std::size_t>(std::find(text, text + size, '\0') - text));
    }
  }
  return result;
}

std::optional<std::string> Hdf5File::text(const std::string& object, const std::string& name) const {
  auto list = texts(object, name);
  if (!list) return std::nullopt;
  if (list->size() != 1) reject("is not one text", joined(object, "@" + name));
  return std::move(list->front());
}

std::vector<std::byte> Hdf5File::read(const Dataset& dataset) const {
  const Id id(H5Dopen2(handle_->file.get(), dataset.path.c_str(), H5P_DEFAULT), H5Dclose);
  const Id type(id ? H5Dget_type(id.get()) : -1, H5Tclose);
  if (!type) reject("the dataset cannot be opened", dataset.path);
  if (dataset.type == SourceType::other)
    reject("holds " + type_name(type.get()) + ", which are not read", dataset.path, save_as_floats);
  const std::int64_t bytes =
      checked_mul(element_count(dataset.shape, dataset.path), size_of(dataset.type), dataset.path);
  std::vector<std::byte> values(static_cast<std::size_t>(bytes));
  // The file's own type: only little-endian ones have a name in SourceType, so nothing is converted.
  if (bytes > 0 && H5Dread(id.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    reject("the data is damaged or truncated", dataset.path, "download or copy the file again");
  return values;
}

}  // namespace resnet::convert
