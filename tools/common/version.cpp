#include "common/version.hpp"

namespace resnet::tools {

std::string_view version() noexcept { return RESNET_VERSION; }

}  // namespace resnet::tools
