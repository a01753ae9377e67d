// Operators that only rename, drop or join axes, and the mean over height and width.
#include <algorithm>
#include <optional>

#include "base/checked.hpp"
#include "convert/importers/onnx/operators.hpp"

namespace resnet::convert::onnx {
namespace {

using Ints = std::vector<std::int64_t>;

/// Axes counted from 0, each once.
std::vector<std::size_t> normalised(const Network& net, const Ints& axes, std::size_t rank) {
  std::vector<std::size_t> result;
  for (const std::int64_t axis : axes) {
    const std::int64_t from_start = axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis;
    const auto i = static_cast<std::size_t>(from_start);
    if (from_start < 0 || i >= rank || std::find(result.begin(), result.end(), i) != result.end()) {
      net.reject("axes are " + list_text(axes) + " of a value with " + std::to_string(rank) + " axes");
    }
    result.push_back(i);
  }
  return result;
}

/// The attribute "axes", or input 1 where later versions have it; nothing when neither is there.
std::optional<Ints> axes_of(const Network& net) {
  if (net.given(1)) return net.known(1);
  if (net.has("axes")) return net.integers("axes", {});
  return std::nullopt;
}

void flatten(Network& net, const Value& x) {
  if (x.axes.empty() || x.axes[0] != Axis::n) net.reject("moves the images to another axis");
  const auto place = [&](Axis axis) {
    return static_cast<std::size_t>(std::find(x.axes.begin(), x.axes.end(), axis) - x.axes.begin());
  };
  const std::size_t c = place(Axis::c), h = place(Axis::h), w = place(Axis::w), none = x.axes.size();
  if (x.axes == Axes{Axis::n, Axis::c}) {
    net.alias(0, x);
    return;
  }
  const bool one_position = x.dims.h == 1 && x.dims.w == 1;
  const bool rows_first = h == none || w == none || h < w || x.dims.h == 1 || x.dims.w == 1;
  const bool channels_first = (h == none || c < h) && (w == none || c < w) && (c < place(Axis::hw));
  const bool channels_last =
      (h == none || c > h) && (w == none || c > w) && (place(Axis::hw) == none || c > place(Axis::hw));
  if (!one_position && (!rows_first || !(channels_first || channels_last))) {
    net.reject("flattens its axes in an order that no layer has");
  }
  AttrMap attrs;
  if (channels_first || !channels_last) attrs["order"] = std::string("nchw");
  Value y = net.add("flatten", {&x}, std::move(attrs));
  y.axes = {Axis::n, Axis::c};
  net.set(std::move(y));
}

/// Sizes behind the images' axis that a Reshape asks for.
Ints target_sizes(const Network& net, const Value& x) {
  const Integers shape = net.shape(1);
  const auto refuse = [&](const std::string& why) {
    Ints shown;
    for (const Symbol& symbol : shape.values) shown.push_back(symbol.batch ? -1 : symbol.value);
    net.reject("reshapes to " + list_text(shown) + ": " + why);
  };
  const bool zero_copies = !net.flag("allowzero", false);
  std::int64_t total = 1;
  for (std::size_t i = 0; i < x.axes.size(); ++i) total = checked_mul(total, axis_size(x, i), "Reshape");
  if (shape.values.empty() || shape.values.size() > 8) refuse("1 to 8 sizes are expected");

  const std::int64_t images = net.model_images();
  Ints sizes;
  std::int64_t product = 1;
  int open = -1;
  bool images_open = false;
  for (std::size_t i = 0; i < shape.values.size(); ++i) {
    Symbol size = shape.values[i];
    if (!size.batch && size.value == 0 && zero_copies && i < x.axes.size()) {
      size = {x.axes[i] == Axis::n, axis_size(x, i)};
    }
    if (i == 0) {
      images_open = !size.batch && size.value == -1;
      const bool fixed = !size.batch && images > 0 && size.value == images;
      if (!size.batch && !images_open && !fixed) {
        refuse("the number of images is another one than the input's");
      }
      continue;
    }
    if (size.batch) refuse("moves the images to another axis");
    if (size.value == -1) {
      if (open >= 0 || images_open) refuse("two sizes are open");
      open = static_cast<int>(sizes.size());
    } else if (size.value < 1) {
      refuse("sizes are positive");
    } else {
      product = checked_mul(product, size.value, "Reshape");
    }
    sizes.push_back(size.value);
  }
  if (open >= 0) {
    if (total % product != 0) refuse("each image has " + std::to_string(total) + " values");
    sizes[static_cast<std::size_t>(open)] = total / product;
    product = total;
  }
  if (product != total) refuse("each image has " + std::to_string(total) + " values");
  return sizes;
}

/// A single channel may stand before or behind height and width without a value moving. Empty for other sizes.
Axes axes_around_one_channel(const Value& x, const Ints& sizes) {
  if (x.dims.c != 1 || x.axes.size() != 4) return {};
  const auto place = [&](Axis axis) { return std::find(x.axes.begin(), x.axes.end(), axis); };
  if (place(Axis::w) == x.axes.end() || place(Axis::h) >= place(Axis::w)) return {};
  if (sizes == Ints{1, x.dims.h, x.dims.w}) return {Axis::n, Axis::c, Axis::h, Axis::w};
  if (sizes == Ints{x.dims.h, x.dims.w, 1}) return {Axis::n, Axis::h, Axis::w, Axis::c};
  return {};
}

}  // namespace

void convert_flatten(Network& net) {
  const Value& x = net.activation(0);
  std::int64_t axis = net.integer("axis", 1);
  if (axis < 0) axis += static_cast<std::int64_t>(x.axes.size());
  if (axis != 1) net.reject("flattens from axis " + std::to_string(axis) + ", axis 1 is read");
  flatten(net, x);
}

void convert_reshape(Network& net) {
  const Value& x = net.activation(0);
  if (x.axes.empty() || x.axes[0] != Axis::n) net.reject("moves the images to another axis");
  const Ints sizes = target_sizes(net, x);
  Ints now;
  for (std::size_t i = 1; i < x.axes.size(); ++i) now.push_back(axis_size(x, i));
  const bool positions = x.dims.h != 1 || x.dims.w != 1;
  if (sizes == now) {
    net.alias(0, x);
  } else if (sizes.size() == 1) {
    flatten(net, x);
  } else if (is_image(x) && sizes == Ints{x.dims.c, x.dims.h * x.dims.w}) {
    Value y = x;
    y.axes = {Axis::n, Axis::c, Axis::hw};
    net.alias(0, std::move(y));
  } else if (const auto c = std::find(sizes.begin(), sizes.end(), x.dims.c); !positions && c != sizes.end()) {
    Value y = x;  // the sizes multiply to c, so the others are 1
    y.axes.assign(sizes.size() + 1, Axis::one);
    y.axes.front() = Axis::n;
    y.axes[static_cast<std::size_t>(c - sizes.begin()) + 1] = Axis::c;
    net.alias(0, std::move(y));
  } else if (const Axes turned = axes_around_one_channel(x, sizes); !turned.empty()) {
    Value y = x;
    y.axes = turned;
    net.alias(0, std::move(y));
  } else {
    net.reject("reshapes an image to " + list_text(sizes) + ", which is no flattening");
  }
}

void convert_transpose(Network& net) {
  Value x = net.activation(0);
  const std::size_t rank = x.axes.size();
  Ints perm;
  for (std::size_t i = rank; i-- > 0;) perm.push_back(static_cast<std::int64_t>(i));
  perm = net.integers("perm", perm);
  const auto order = normalised(net, perm, rank);
  if (order.size() != rank) net.reject("perm is " + list_text(perm) + " for " + std::to_string(rank) + " axes");
  Axes axes;
  for (const std::size_t i : order) axes.push_back(x.axes[i]);
  x.axes = std::move(axes);
  net.alias(0, std::move(x));
}

void convert_squeeze(Network& net) {
  Value x = net.open_activation(0);
  std::vector<std::size_t> drop;
  if (const auto axes = axes_of(net)) {
    drop = normalised(net, *axes, x.axes.size());
  } else {
    for (std::size_t i = 1; i < x.axes.size(); ++i) {
      if (axis_size(x, i) == 1 && x.axes[i] != Axis::c) drop.push_back(i);
    }
  }
  Axes axes;
  for (std::size_t i = 0; i < x.axes.size(); ++i) {
    if (std::find(drop.begin(), drop.end(), i) == drop.end()) {
      axes.push_back(x.axes[i]);
    } else if (axis_size(x, i) != 1 || x.axes[i] == Axis::n || x.axes[i] == Axis::c) {
      net.reject("drops axis " + std::to_string(i) + ", which is not a height or width of 1");
    }
  }
  x.axes = std::move(axes);
  net.alias(0, std::move(x));
}

void convert_unsqueeze(Network& net) {
  Value x = net.open_activation(0);
  const auto axes = axes_of(net);
  if (!axes) net.reject("has no axes");
  const auto added = normalised(net, *axes, x.axes.size() + axes->size());
  Axes result;
  std::size_t from = 0;
  for (std::size_t i = 0; i < x.axes.size() + added.size(); ++i) {
    const bool is_new = std::find(added.begin(), added.end(), i) != added.end();
    result.push_back(is_new ? Axis::one : x.axes[from++]);
  }
  if (result.size() > 8) net.reject("has more than 8 axes");
  x.axes = std::move(result);
  net.alias(0, std::move(x));
}

void convert_reduce_mean(Network& net) {
  Value x = net.open_activation(0);
  const bool keep = net.flag("keepdims", true);
  const auto axes = axes_of(net);
  if (!axes || axes->empty()) net.reject("takes the mean over all axes");
  const auto over = normalised(net, *axes, x.axes.size());
  Axes left;
  for (std::size_t i = 0; i < x.axes.size(); ++i) {
    if (std::find(over.begin(), over.end(), i) == over.end()) {
      left.push_back(x.axes[i]);
      continue;
    }
    const Axis axis = x.axes[i];
    if (axis == Axis::n || axis == Axis::c) net.reject("takes the mean over the images or the channels");
    x.mean_h = x.mean_h || axis == Axis::h || axis == Axis::hw;
    x.mean_w = x.mean_w || axis == Axis::w || axis == Axis::hw;
    if (keep) left.push_back(Axis::one);
  }
  const bool whole = (x.mean_h || x.dims.h == 1) && (x.mean_w || x.dims.w == 1);
  if (!whole || !(x.mean_h || x.mean_w)) {  // half a mean, or one over axes that mean nothing
    x.axes = std::move(left);
    net.alias(0, std::move(x));
    return;
  }
  Value y = net.add("global_avg_pool", {&x});
  y.axes = std::move(left);
  net.set(std::move(y));
}

void convert_expand(Network& net) {
  // No layer repeats values; a product of two values does so by itself.
  Value x = net.activation(0);
  const Integers shape = net.shape(1);
  const std::size_t rank = x.axes.size();
  std::vector<std::int64_t> repeats(rank, 1);
  bool fits = shape.values.size() <= rank;
  for (std::size_t i = 0; fits && i < shape.values.size(); ++i) {
    const std::size_t axis = rank - shape.values.size() + i;
    const Symbol& size = shape.values[i];
    if (x.axes[axis] == Axis::n) {
      fits = size.batch || size.value == 1 || size.value == net.model_images();
    } else if (size.batch || x.axes[axis] == Axis::c) {
      fits = !size.batch && (size.value == 1 || size.value == x.dims.c);
    } else if (size.value != 1 && size.value != axis_size(x, axis)) {
      fits = axis_size(x, axis) == 1 && size.value > 1;
      repeats[axis] = size.value;
    }
  }
  if (!fits) net.reject("repeats values over images or channels");
  if (std::any_of(repeats.begin(), repeats.end(), [](auto count) { return count != 1; }))
    x.repeats = std::move(repeats);
  net.alias(0, std::move(x));
}

}  // namespace resnet::convert::onnx
