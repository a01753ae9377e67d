#include "ops/op_list.hpp"
#include "ops/rule.hpp"

namespace resnet::ops {

namespace {

const AttrSpec attrs[] = {
    {"channels", std::int64_t{0}, true, "number of channels, >= 1"},
    {"height", std::int64_t{0}, true, "height that the network was made for, >= 1"},
    {"width", std::int64_t{0}, true, "width that the network was made for, >= 1"},
};

Dims infer(const OpShapes& shapes) {
  const AttrMap& given = *shapes.attrs;
  return checked_dims(shapes, {1, int_attr(given, "height"), int_attr(given, "width"), int_attr(given, "channels")});
}

}  // namespace

constinit const OpDef input{
    .name = "input",
    .doc = "the network's input; exactly one per network",
    .inputs = 0,
    .attrs = attrs,
    .weights = {},
    .infer = infer,
};

}  // namespace resnet::ops
