#include "infer/saved_arrays.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <span>

namespace resnet::tools {
namespace {

float load(const void* data, DType dtype, std::size_t index) {
  if (dtype == DType::f32) return static_cast<const float*>(data)[index];
  std::uint16_t bits = 0;
  std::memcpy(&bits, static_cast<const std::byte*>(data) + 2 * index, 2);
  if (dtype == DType::bf16) return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  // IEEE half: move the exponent from bias 15 to 127 by an exact multiplication, which also covers denormals.
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7FFFu) << 13;
  if ((bits & 0x7C00u) == 0x7C00u) return std::bit_cast<float>(sign | 0x7F800000u | magnitude);
  const float value = std::bit_cast<float>(magnitude) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

}  // namespace

std::vector<float> nchw_values(const ConstTensorView& t) {
  if (t.memory != MemoryKind::host) {
    throw Error(ErrorCode::unsupported, "a value in device memory cannot be saved", "--save", "use --device cpu");
  }
  if (t.dtype != DType::f32 && t.dtype != DType::bf16 && t.dtype != DType::f16) {
    throw Error(ErrorCode::unsupported, "only floating-point values can be saved", "--save", "use --precision fp32");
  }
  std::vector<float> out(static_cast<std::size_t>(t.elements()));
  std::size_t to = 0;
  for (std::int64_t n = 0; n < t.n; ++n) {
    for (std::int64_t c = 0; c < t.c; ++c) {
      for (std::int64_t p = 0; p < t.h * t.w; ++p) {
        const std::int64_t from =
            t.layout == Layout::nchw ? (n * t.c + c) * t.h * t.w + p : (n * t.h * t.w + p) * t.c + c;
        out[to++] = load(t.data, t.dtype, static_cast<std::size_t>(from));
      }
    }
  }
  return out;
}

SavedArrays::SavedArrays(const InferOptions& options) {
  if (!options.save_output.empty()) output_ = std::make_unique<NpyWriter>(options.save_output);
  if (!options.save_input.empty()) input_ = std::make_unique<NpyWriter>(options.save_input);
  for (const auto& [layer, file] : options.save) layers_.emplace_back(layer, std::make_unique<NpyWriter>(file));
}

std::string SavedArrays::misfit(const ConstTensorView& input, const Session& session) const {
  const auto fits = [](const NpyWriter& writer, const ConstTensorView& tensor) {
    return writer.fits(std::array{tensor.c, tensor.h, tensor.w});
  };
  if (input_ && !fits(*input_, input)) return input_->path();
  for (const auto& [layer, writer] : layers_) {
    if (!fits(*writer, session.retained(layer))) return writer->path();
  }
  return {};
}

void SavedArrays::add(const ConstTensorView& input, const ConstTensorView& output, const Session& session) {
  const auto append = [](NpyWriter& writer, const ConstTensorView& tensor) {
    writer.append(nchw_values(tensor), std::array{tensor.c, tensor.h, tensor.w});
  };
  if (output_) {
    const std::span values(static_cast<const float*>(output.data), static_cast<std::size_t>(output.elements()));
    output_->append(values, std::array{output.elements() / output.n});
  }
  if (input_) append(*input_, input);
  for (auto& [layer, writer] : layers_) append(*writer, session.retained(layer));
}

void SavedArrays::commit() {
  if (output_) output_->commit();
  if (input_) input_->commit();
  for (auto& [layer, writer] : layers_) writer->commit();
}

}  // namespace resnet::tools
