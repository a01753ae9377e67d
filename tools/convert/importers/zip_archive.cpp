#include "convert/importers/zip_archive.hpp"

#include <zip.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "convert/importers/importer.hpp"
#include "convert/importers/zip_directory.hpp"

namespace resnet::convert {
namespace {

constexpr std::uint64_t max_entries = 20'000;  // a ResNet-1001's checkpoint with its optimizer's state has 15,000

/// libzip reads the file through this: pread on demand, so that no copy of the whole file exists.
struct FileSource {
  const SourceFile& file;
  std::uint64_t position = 0;
  zip_error_t error = {};

  zip_int64_t read(void* data, zip_uint64_t bytes) {
    const std::uint64_t count = std::min<std::uint64_t>(bytes, file.size() - position);
    try {
      file.read(position, {static_cast<std::byte*>(data), count});
    } catch (const Error&) {
      zip_error_set(&error, ZIP_ER_READ, 0);
      return -1;
    }
    position += count;
    return static_cast<zip_int64_t>(count);
  }

  static zip_int64_t call(void* self, void* data, zip_uint64_t bytes, zip_source_cmd_t command) {
    auto& source = *static_cast<FileSource*>(self);
    switch (command) {
      case ZIP_SOURCE_OPEN:
        source.position = 0;
        return 0;
      case ZIP_SOURCE_READ:
        return source.read(data, bytes);
      case ZIP_SOURCE_CLOSE:
      case ZIP_SOURCE_FREE:
        return 0;
      case ZIP_SOURCE_STAT: {
        auto* stat = static_cast<zip_stat_t*>(data);
        zip_stat_init(stat);
        stat->size = source.file.size();
        stat->valid |= ZIP_STAT_SIZE;
        return sizeof(zip_stat_t);
      }
      case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&source.error, data, bytes);
      case ZIP_SOURCE_SEEK: {
        const zip_int64_t to =
            zip_source_seek_compute_offset(source.position, source.file.size(), data, bytes, &source.error);
        if (to < 0) return -1;
        source.position = static_cast<std::uint64_t>(to);
        return 0;
      }
      case ZIP_SOURCE_TELL:
        return static_cast<zip_int64_t>(source.position);
      case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
                                              ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
                                              ZIP_SOURCE_SUPPORTS, -1);
      default:
        zip_error_set(&source.error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
  }
};

[[noreturn]] void reject(const SourceFile& file, const std::string& message, std::string next = {}) {
  if (next.empty()) next = "download or copy the file again";
  fail(ErrorCode::import_failed, message, file.name(), std::move(next));
}

bool leaves_archive(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\\') != name.npos || name.find('\0') != name.npos) return true;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

void check_count(const SourceFile& file, std::uint64_t count) {
  if (count <= max_entries) return;
  reject(file, "has " + std::to_string(count) + " entries, the limit is " + std::to_string(max_entries),
         "save the weights alone, without the optimizer's state");
}

/// Asked before anything else: torch.jit.save compresses its code, which would be the lesser complaint.
void refuse_torch_script(zip_t* zip, const SourceFile& file) {
  const zip_int64_t count = zip_get_num_entries(zip, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(zip, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    if (name == nullptr) continue;
    const std::string_view text = name;
    if (text.find("/constants.pkl") == text.npos && text.find("/code/") == text.npos) continue;
    reject(file, "is a TorchScript program, not weights",
           "in Python: m = torch.jit.load(\"model.pt\"); torch.save(dict(m.state_dict()), \"model.pth\")");
  }
}

}  // namespace

struct ZipArchive::Handle {
  FileSource source;
  zip_t* zip = nullptr;
  std::unordered_map<std::string_view, std::size_t> index;  // into entries_

  explicit Handle(const SourceFile& file) : source{file} { zip_error_init(&source.error); }
  ~Handle() {
    if (zip != nullptr) zip_discard(zip);
    zip_error_fini(&source.error);
  }
};

ZipArchive::ZipArchive(const SourceFile& file, Compression compression)
    : file_(file), handle_(std::make_unique<Handle>(file)) {
  const ZipDirectory directory = find_zip_directory(file);
  check_count(file, directory.entries);  // before libzip reads them all
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_function_create(&FileSource::call, &handle_->source, &error);
  if (source != nullptr) {
    handle_->zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
    if (handle_->zip == nullptr) zip_source_free(source);
  }
  const std::string message = zip_error_strerror(&error);
  const bool duplicate = zip_error_code_zip(&error) == ZIP_ER_EXISTS;
  zip_error_fini(&error);
  if (handle_->zip == nullptr && duplicate) reject(file, "is a zip file with two entries of one name");
  if (handle_->zip == nullptr) reject(file, "is a damaged zip file (" + message + ")");
  // libzip may prefer an earlier end record whose comment covers the last one.
  int comment_bytes = 0;
  (void)zip_get_archive_comment(handle_->zip, &comment_bytes, ZIP_FL_ENC_RAW);
  if (comment_bytes != 0) reject(file, "has a zip comment, which torch.save never writes");

  const zip_int64_t count = zip_get_num_entries(handle_->zip, 0);
  if (count < 0 || static_cast<std::uint64_t>(count) != directory.entries) {
    reject(file, "has two directories that disagree");
  }

  refuse_torch_script(handle_->zip, file);

  entries_.reserve(static_cast<std::size_t>(count));  // names must not move: the index points to them
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(handle_->zip, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW, &stat) != 0 ||
        stat.name == nullptr) {
      reject(file, "entry " + std::to_string(i) + " of the zip directory is damaged");
    }
    const std::string name = stat.name;
    if (leaves_archive(name)) reject(file, "entry \"" + name + "\" has a name that leaves the archive");
    const bool stored = stat.comp_method == ZIP_CM_STORE && stat.comp_size == stat.size;
    if (!stored && compression == Compression::allowed && stat.comp_method != ZIP_CM_DEFLATE) {
      reject(file,
             "entry \"" + name + "\" is compressed with zip method " + std::to_string(stat.comp_method) +
                 ", only 8 (deflate) is read",
             "pack the entries again without compression");
    }
    if (!stored && compression == Compression::refused) {
      reject(file, "entry \"" + name + "\" is compressed; torch.save never compresses",
             "unpack it and load it in Python, then torch.save(state_dict, \"model.pth\")");
    }
    if (stat.encryption_method != ZIP_EM_NONE) reject(file, "entry \"" + name + "\" is encrypted", "decrypt it first");
    entries_.push_back({name, stat.size, stat.comp_size});
    if (!handle_->index.emplace(entries_.back().name, entries_.size() - 1).second) {
      reject(file, "two entries are named \"" + name + '"');
    }
  }
  check_zip_layout(file, directory);
}

ZipArchive::~ZipArchive() = default;

std::optional<std::size_t> ZipArchive::find(std::string_view name) const {
  const auto found = handle_->index.find(name);
  if (found == handle_->index.end()) return std::nullopt;
  return found->second;
}

std::vector<std::byte> ZipArchive::read(std::size_t entry, std::uint64_t limit) const {
  const Entry& info = entries_.at(entry);
  if (info.bytes > limit) {
    fail(ErrorCode::limit_exceeded,
         "entry \"" + info.name + "\" has " + std::to_string(info.bytes) + " bytes, the limit is " +
             std::to_string(limit),
         file_.name(), "the file is damaged or was made to exhaust memory");
  }
  zip_file_t* opened = zip_fopen_index(handle_->zip, entry, 0);
  if (opened == nullptr) {
    reject(file_, "entry \"" + info.name + "\": " + zip_error_strerror(zip_get_error(handle_->zip)));
  }
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> stream(opened, zip_fclose);
  std::vector<std::byte> bytes(info.bytes);
  std::uint64_t done = 0;
  zip_int64_t got = 0;
  while (done < info.bytes && (got = zip_fread(opened, bytes.data() + done, info.bytes - done)) > 0) {
    done += static_cast<std::uint64_t>(got);
  }
  // The CRC is compared when the end is reached, which takes one read more.
  std::byte beyond;
  if (got >= 0 && done == info.bytes) got = zip_fread(opened, &beyond, 1);
  if (got != 0 || done != info.bytes) {
    reject(file_, "entry \"" + info.name + "\": " + zip_error_strerror(zip_file_get_error(opened)));
  }
  return bytes;
}

}  // namespace resnet::convert
