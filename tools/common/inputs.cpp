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
    for (std::string line; std::getline(stream, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) path(line);
    }
    if (stream.bad()) failed(name, "cannot read the list");
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

  void directory(const std::string& name) {
    std::vector<std::string> files;
    std::error_code error;
    fs::recursive_directory_iterator entry(name, error);
    for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
      const std::string file = entry->path().filename().string();
      std::error_code ignored;
      if (file.starts_with('.')) {
        if (entry->is_directory(ignored)) entry.disable_recursion_pending();
      } else if ((is_picture_name(file) || is_array_name(file)) && !entry->is_directory(ignored)) {
        files.push_back(entry->path().string());
      }
    }
    if (error) {
      failed(name, "cannot read the directory: " + error.message());
      return;
    }
    if (files.empty()) failed(name, "the directory holds no pictures and no .npy files");
    std::sort(files.begin(), files.end());
    for (const auto& file : files) path(file);
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
      failed(name, failure.message());
    }
  }
};

}  // namespace

bool is_picture_name(std::string_view path) {
  // Formats that are not decoded are known too: a folder's pictures are reported, never skipped silently.
  static constexpr std::array<std::string_view, 16> known{".jpg",  ".jpeg", ".jpe",  ".jfif", ".png", ".bmp",
                                                          ".tga",  ".gif",  ".ppm",  ".pgm",  ".tif", ".tiff",
                                                          ".webp", ".avif", ".heic", ".jp2"};
  return std::find(known.begin(), known.end(), extension(path)) != known.end();
}

bool is_array_name(std::string_view path) { return extension(path) == ".npy"; }

std::vector<Input> expand_inputs(const std::vector<std::string>& arguments) {
  Expander expander;
  for (const auto& argument : arguments) expander.argument(argument);
  return std::move(expander.inputs);
}

}  // namespace resnet::tools
