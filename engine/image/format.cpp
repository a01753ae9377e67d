#include "image/format.hpp"

#include <algorithm>
#include <string>

#include "base/check.hpp"

namespace resnet {
namespace {

using namespace std::string_view_literals;

/// `magic` at byte `offset`, and `magic2` at byte `offset2` when it is not empty.
struct Signature {
  std::string_view name;
  std::size_t offset;
  std::string_view magic;
  std::size_t offset2 = 0;
  std::string_view magic2 = {};
};

/// Formats that are refused by name: stb_image reads some of them, but with other pixels than Pillow (GIF, PNM) or
/// unsafely (PSD, PIC), and the rest needs libraries that are not linked.
constexpr Signature refused[] = {
    {"GIF", 0, "GIF8"sv},
    {"WebP", 0, "RIFF"sv, 8, "WEBP"sv},
    {"TIFF", 0, "II*\0"sv},
    {"TIFF", 0, "MM\0*"sv},
    {"BigTIFF", 0, "II+\0"sv},
    {"BigTIFF", 0, "MM\0+"sv},
    {"AVIF", 4, "ftypavif"sv},
    {"AVIF", 4, "ftypavis"sv},
    {"HEIC", 4, "ftyphei"sv},
    {"HEIC", 4, "ftyphev"sv},
    {"HEIF", 4, "ftypmif1"sv},
    {"HEIF", 4, "ftypmsf1"sv},
    {"JPEG XL", 0, "\xff\x0a"sv},
    {"JPEG XL", 0, "\0\0\0\x0cJXL "sv},
    {"JPEG 2000", 0, "\0\0\0\x0cjP  "sv},
    {"JPEG 2000", 0, "\xff\x4f\xff\x51"sv},
    {"PSD", 0, "8BPS"sv},
    {"Radiance HDR", 0, "#?R"sv},
    {"OpenEXR", 0, "\x76\x2f\x31\x01"sv},
    {"QOI", 0, "qoif"sv},
    {"DDS", 0, "DDS "sv},
    {"ICO", 0, "\0\0\x01\0"sv},
    {"Softimage PIC", 0, "\x53\x80\xf6\x34"sv},
    {"PDF", 0, "%PDF"sv},
    {"SVG", 0, "<svg"sv},
    {"SVG or other XML", 0, "<?xml"sv},
    {"NumPy", 0, "\x93NUMPY"sv},
    {"MNG", 0, "\x8aMNG"sv},
};

bool has(std::string_view text, std::size_t offset, std::string_view magic) {
  return text.size() >= offset && text.substr(offset).starts_with(magic);
}

bool is_pnm(std::string_view text) {
  return text.size() >= 3 && text[0] == 'P' && text[1] >= '1' && text[1] <= '7' &&
         " \t\r\n#"sv.find(text[2]) != std::string_view::npos;
}

[[noreturn]] void refuse(std::string_view name, std::string_view where) {
  fail(ErrorCode::image_unsupported, std::string(name) + " pictures are not decoded", where,
       "convert the picture to PNG or JPEG first");
}

}  // namespace

ImageFormat sniff_image(std::span<const std::uint8_t> bytes, std::string_view where) {
  char head[32];
  const std::size_t length = std::min(bytes.size(), sizeof head);
  std::copy_n(bytes.begin(), length, head);
  const std::string_view text(head, length);
  if (has(text, 0, "\xff\xd8\xff"sv)) return ImageFormat::jpeg;
  if (has(text, 0, "\x89PNG\r\n\x1a\n"sv)) return ImageFormat::png;
  // "BM" alone starts many texts; the two reserved words behind the file size are zero in every BMP.
  if (has(text, 0, "BM"sv) && has(text, 6, "\0\0\0\0"sv)) return ImageFormat::bmp;
  for (const Signature& signature : refused)
    if (has(text, signature.offset, signature.magic) && has(text, signature.offset2, signature.magic2))
      refuse(signature.name, where);
  if (is_pnm(text)) refuse("PNM (PBM, PGM, PPM, PAM)", where);
  fail(ErrorCode::image_unsupported, "the content is no picture that is known here", where,
       "give a JPEG, PNG or BMP file; the content counts, not the name");
}

}  // namespace resnet
