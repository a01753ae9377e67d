#pragma once

#include "backends/backend.hpp"

namespace resnet::reference {

extern const Implementation view;     ///< flatten in memory order, identity: no work, output in the input's place
extern const Implementation loop;     ///< any op of the table with a reference loop, epilogue included
extern const Implementation convert;  ///< changes of dtype, layout and channel padding

}  // namespace resnet::reference
