#include "convert/known_files.hpp"

#include <algorithm>
#include <array>

namespace resnet::convert {
namespace {

constexpr std::string_view v1 = "IMAGENET1K_V1", v2 = "IMAGENET1K_V2";
constexpr std::string_view crop_256 = "torchvision", crop_232 = "torchvision-v2";

constexpr std::array<KnownFile, 17> files = {{
    {"resnet18", "f37072fd", v1, crop_256},
    {"resnet34", "b627a593", v1, crop_256},
    {"resnet50", "11ad3fa6", v2, crop_232},
    {"resnet50", "0676ba61", v1, crop_256},
    {"resnet101", "cd907fc2", v2, crop_232},
    {"resnet101", "63fe2227", v1, crop_256},
    {"resnet152", "f82ba261", v2, crop_232},
    {"resnet152", "394f9c45", v1, crop_256},
    {"resnext50_32x4d", "1a0047aa", v2, crop_232},
    {"resnext50_32x4d", "7cdf4587", v1, crop_256},
    {"resnext101_32x8d", "110c445d", v2, crop_232},
    {"resnext101_32x8d", "8ba56ff5", v1, crop_256},
    {"resnext101_64x4d", "173b62eb", v1, crop_232},  // trained with the newer recipe
    {"wide_resnet50_2", "9ba9bcbe", v2, crop_232},
    {"wide_resnet50_2", "95faca4d", v1, crop_256},
    {"wide_resnet101_2", "d733dc28", v2, crop_232},
    {"wide_resnet101_2", "32ee1156", v1, crop_256},
}};

}  // namespace

std::span<const KnownFile> known_files() { return files; }

const KnownFile* find_known_file(std::string_view sha256) {
  if (sha256.size() != 64) return nullptr;
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const KnownFile& file) { return sha256.starts_with(file.hash); });
  return found == files.end() ? nullptr : &*found;
}

}  // namespace resnet::convert
