#include "common/inputs.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

namespace resnet::tools {
namespace {

namespace fs = std::filesystem;

std::string extension(std::string_view path) {
  std::string text = fs::path(path).extension().string();
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class Expander {
 public:
  std::vector<Input> inputs;

  void argument(const std::string& text) {
    if (text.size() > 1 && text[0] == '@') {
      list(text.substr(1));
    } else {
      path(text);
    }
  }

 private:
  void failed(const std::string& name, std::string reason) {
    Input input;
    input.name = input.path = name;
    input.failure = std::move(reason);
    inputs.push_back(std::move(input));
  }

  void list(const std::string& name) {
    errno = 0;
    std::ifstream stream(name);
    if (!stream || fs::is_directory(name)) {
      failed(name, std::string("cannot open the list: ") + std::strerror(errno != 0 ? errno : EISDIR));
      return;
    }
    bool empty = true;
    for (std::string line; std::getline(stream, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (line.empty()) continue;
      empty = false;
      path(line);
    }
    if (stream.bad()) {
      failed(name, "cannot read the list");
    } else if (empty) {
      failed(name, "the list names no file");
    }
  }

  void path(const std::string& name) {
    std::error_code error;
    if (fs::is_directory(name, error)) {
      directory(name);
    } else if (is_array_name(name)) {
      array(name);
    } else {
      Input input;
      input.name = input.path = name;
      inputs.push_back(std::move(input));
    }
  }

  /// A path in a directory and, for a folder below that cannot be read, why.
  using Found = std::pair<std::string, std::string>;

  void directory(const std::string& name) {
    std::vector<Found> found;
    search(name, found);
    if (found.empty()) failed(name, "the directory holds no pictures and no .npy files");
    std::sort(found.begin(), found.end());
    for (auto& [file, failure] : found) {
      if (failure.empty()) {
        path(file);
      } else {
        failed(file, std::move(failure));
      }
    }
  }

  /// Adds what a folder and those below hold. One that cannot be read costs the others nothing.
  static void search(const std::string& folder, std::vector<Found>& found) {
    std::error_code error;
    fs::directory_iterator entry(folder, error);
    for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
      const std::string file = entry->path().filename().string();
      if (file.starts_with('.')) continue;
      std::error_code ignored;
      if (entry->is_directory(ignored)) {
        if (!entry->is_symlink(ignored)) search(entry->path().string(), found);
      } else if (is_picture_name(file) || is_array_name(file)) {
        found.emplace_back(entry->path().string(), "");
      }
    }
    if (error) found.emplace_back(folder, "cannot read the directory: " + error.message());
  }

  void array(const std::string& name) {
    try {
      const auto reader = std::make_shared<const NpyReader>(name);
      const auto& header = reader->header();
      if (header.type != NpyType::f32 || header.shape.size() != 4) {
        failed(name, "expected a float32 array of N x C x H x W");
        return;
      }
      if (header.elements() == 0) {
        failed(name, "the array is empty");
        return;
      }
      for (std::int64_t row = 0; row < reader->rows(); ++row) {
        inputs.push_back({reader->rows() == 1 ? name : name + "[" + std::to_string(row) + "]", name, reader, row, {}});
      }
    } catch (const Error& failure) {
      failed(name, failure.message() + (failure.next().empty() ? "" : "; " + failure.next()));
    }
  }
};

}  // namespace

bool is_picture_name(std::string_view path) {
  // Formats that are not decoded are known too: a folder's pictures are reported, never skipped silently. docs/cli.md
  // holds this list.
  static constexpr std::array<std::string_view, 50> known{
      ".jpg",  ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".avif", ".heic",
      ".heif", ".hif",  ".jxl", ".apng", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm",  ".tga",  ".pcx",  ".qoi",
      ".xbm",  ".xpm",  ".jp2", ".j2k",  ".j2c", ".jpc", ".jpf", ".jpx", ".jxr", ".ico",  ".svg",  ".psd",  ".exr",
      ".hdr",  ".dng",  ".cr2", ".cr3",  ".nef", ".arw", ".orf", ".raf", ".rw2", ".pef",  ".srw"};
  return std::find(known.begin(), known.end(), extension(path)) != known.end();
}

bool is_array_name(std::string_view path) { return extension(path) == ".npy"; }

std::vector<Input> expand_inputs(const std::vector<std::string>& arguments) {
  Expander expander;
  for (const auto& argument : arguments) expander.argument(argument);
  return std::move(expander.inputs);
}

}  // namespace resnet::tools
