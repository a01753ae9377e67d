#pragma once

// The one internal header that tools see: JSON is what the public API describes itself with.
#include "base/json.hpp"
