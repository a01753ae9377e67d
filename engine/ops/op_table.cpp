#include <array>

#include "ops/op_list.hpp"

namespace resnet {

namespace {

constexpr std::array table{
    &ops::input,
    &ops::conv2d,
    &ops::channel_conv1d,
    &ops::dense,
    &ops::batch_norm,
    &ops::relu,
    &ops::relu6,
    &ops::leaky_relu,
    &ops::sigmoid,
    &ops::hard_sigmoid,
    &ops::silu,
    &ops::add,
    &ops::mul,
    &ops::max_pool,
    &ops::avg_pool,
    &ops::global_avg_pool,
    &ops::adaptive_avg_pool,
    &ops::pad,
    &ops::flatten,
    &ops::softmax,
    &ops::identity,
    &ops::scale_shift,
};

}  // namespace

std::span<const OpDef* const> op_table() { return table; }

const OpDef* find_op(std::string_view name) {
  for (const OpDef* op : table) {
    if (op->name == name) return op;
  }
  return nullptr;
}

}  // namespace resnet
