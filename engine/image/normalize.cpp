#include "image/normalize.hpp"

namespace resnet {

NormalizeTable make_normalize_table(const Preprocess& preprocess) {
  const auto channels = static_cast<std::size_t>(preprocess.channels());
  NormalizeTable table(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      // The product is rounded once: for 1/255 this is float32 division by 255, bit for bit.
      float value = static_cast<float>(static_cast<double>(byte) * preprocess.scale);
      if (!preprocess.mean.empty()) value -= static_cast<float>(preprocess.mean[c]);
      if (!preprocess.std.empty()) value /= static_cast<float>(preprocess.std[c]);
      table[c][byte] = value;
    }
  }
  return table;
}

std::int64_t source_channel(const Preprocess& preprocess, std::int64_t c) {
  return preprocess.color == ColorMode::rgb && preprocess.channel_order == ChannelOrder::bgr ? 2 - c : c;
}

}  // namespace resnet
