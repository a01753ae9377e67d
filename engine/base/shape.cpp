#include "base/shape.hpp"

namespace resnet {

std::string to_string(const Dims& dims) {
  return std::to_string(dims.n) + 'x' + std::to_string(dims.h) + 'x' + std::to_string(dims.w) + 'x' +
         std::to_string(dims.c);
}

std::string to_string(const ValueDesc& desc) {
  std::string text = to_string(desc.dims) + ' ' + std::string(to_string(desc.dtype));
  if (desc.layout == LayoutId::nchw) text += " nchw";
  if (desc.layout >= LayoutId::first_opaque) text += " layout" + std::to_string(static_cast<int>(desc.layout));
  if (desc.c_padded > desc.dims.c) text += " cpad" + std::to_string(desc.c_padded);
  return text;
}

}  // namespace resnet
