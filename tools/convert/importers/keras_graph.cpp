#include "convert/importers/keras_graph.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "convert/importers/keras_applications.hpp"
#include "convert/importers/keras_config.hpp"

namespace resnet::convert {
namespace {

constexpr std::int64_t max_side = 16'384;  // as pictures have

/// A value of our graph with what is known of its size; batch is 1.
struct Value {
  std::string name;
  Dims dims;
  bool flat = false;  ///< two axes in Keras (batch, features)
};

class Translator {
 public:
  Translator(int keras_major, std::string where) : keras_major_(keras_major), where_(std::move(where)) {}

  KerasGraph run(const KerasModel& model) {
    const Value input = input_layer(model);
    const Value output = this->model(model, input, "");
    Recipe& recipe = graph_.recipe;
    recipe.name = model.name.empty() ? "keras model" : model.name;
    recipe.why = "the layers that the file's own configuration lists";
    recipe.output = output.name;
    recipe.expected_parameters = parameters_;
    if (!rescales_) recipe.preset = keras_application_preset(model);
    recipe.raw_pixels = recipe.preset.empty();
    return std::move(graph_);
  }

 private:
  // ---- What the layer at hand needs.

  void need_image(const Value& value) const {
    if (value.flat) at_.refuse("takes images, but gets a vector of features");
  }
  /// Normalising and dense layers act on the last axis.
  void need_last_axis(const Json* axis, const Value& value) const {
    if (axis == nullptr) return;
    const Json& number = axis->is_array() && axis->as_array().size() == 1 ? axis->as_array()[0] : *axis;
    const std::int64_t last = value.flat ? 1 : 3, given = number.as_int(at_.place() + ": axis");
    if (given != -1 && given != last) {
      at_.refuse("acts on axis " + std::to_string(given) + ", only the last one (channels_last) is read",
                 "load the weights into the same model with data_format channels_last and save that");
    }
  }

  // ---- Layers of ours.

  std::string unique(const std::string& name) {
    std::string result = name;
    for (int i = 2; !names_.insert(result).second; ++i) result = name + '_' + std::to_string(i);
    return result;
  }
  /// Adds a layer and infers its output. `weights` gives role -> (Keras' role, shape as the source shows it).
  struct Weight {
    const char *role, *keras_role;
    TensorShape shape;
  };
  Value add(const std::string& name, const char* op_name, const std::vector<Value>& inputs, AttrMap attrs,
            const std::vector<Weight>& weights = {}) {
    LayerSpec layer;
    layer.name = unique(name);
    layer.op = op_name;
    layer.attrs = std::move(attrs);
    const OpDef& op = *find_op(op_name);
    std::vector<Dims> dims;
    for (const Value& value : inputs) {
      layer.inputs.push_back(value.name);
      dims.push_back(value.dims);
    }
    std::map<std::string_view, TensorShape> stored;
    for (const Weight& weight : weights) {
      const std::string key = key_ + '/' + weight.keras_role;
      layer.weights[weight.role] = key;
      const bool seen = !graph_.recipe.expected.emplace(key, weight.shape).second;
      const std::string_view role = weight.role;
      if (!seen && role != "mean" && role != "var") {
        std::int64_t count = 1;
        for (const std::int64_t size : weight.shape) count *= size;
        parameters_ += count;
      }
      TensorShape shape = weight.shape;
      if (shape.size() == 4) shape = {shape[0], shape[2], shape[3], shape[1]};
      stored.emplace(role, std::move(shape));
    }
    std::vector<const TensorShape*> shapes;
    for (const WeightSpec& spec : op.weights) {
      const auto found = stored.find(spec.role);
      shapes.push_back(found == stored.end() ? nullptr : &found->second);
    }
    const AttrMap complete = complete_attrs(op, layer.attrs, layer.name);
    Value out{layer.name, op.infer({layer.name, &complete, dims, shapes}), !inputs.empty() && inputs[0].flat};
    graph_.recipe.layers.push_back(std::move(layer));
    return out;
  }

  /// A per-channel y = (x - mean) / sqrt(var) whose numbers are in the configuration.
  Value constant_affine(const Value& in, std::vector<float> mean, std::vector<float> variance) {
    const std::string mean_key = key_ + "/constant_mean", variance_key = key_ + "/constant_variance";
    if (!graph_.recipe.expected.contains(mean_key)) {  // else another call of the same layer
      graph_.constants.push_back({mean_key, std::move(mean)});
      graph_.constants.push_back({variance_key, std::move(variance)});
    }
    rescales_ = true;
    return add(key_, "batch_norm", {in}, {{"eps", 0.0}},
               {{"mean", "constant_mean", {in.dims.c}}, {"var", "constant_variance", {in.dims.c}}});
  }

  // ---- Activations.

  Value activation(const Value& in, const std::string& kind, const std::string& name) {
    if (kind == "linear") return in;
    if (kind == "relu" || kind == "relu6" || kind == "sigmoid" || kind == "softmax")
      return add(name, kind.c_str(), {in}, {});
    if (kind == "silu" || kind == "swish") return add(name, "silu", {in}, {});
    if (kind == "leaky_relu") return add(name, "leaky_relu", {in}, {{"alpha", 0.2}});
    if (kind == "hard_sigmoid") {
      if (keras_major_ == 0) {
        at_.refuse(
            "has the activation hard_sigmoid, which Keras 2 and 3 compute differently, and nothing says which "
            "of them wrote the model",
            "the file is damaged; save the model again");
      }
      return add(name, "hard_sigmoid", {in}, {{"alpha", keras_major_ < 3 ? 0.2 : 1.0 / 6.0}, {"beta", 0.5}});
    }
    at_.refuse("has the activation \"" + kind + "\", which is not supported");
  }
  /// The field "activation" of a layer: a name, or an object that wraps one.
  std::string activation_name() const {
    const Json* value = at_.find("activation");
    if (value != nullptr && value->is_object()) {
      const Json* config = value->find("config");
      if (config != nullptr && config->is_string()) return config->as_string();
      const Json* kind = value->find("class_name");
      at_.refuse("has the activation " +
                 (kind != nullptr && kind->is_string() ? '"' + kind->as_string() + '"' : "object") +
                 ", which is not supported");
    }
    return value == nullptr ? "linear" : value->as_string(at_.place() + ": activation");
  }
  Value inline_activation(const Value& in) {
    const std::string kind = activation_name();
    return activation(in, kind, key_ + '/' + kind);
  }

  // ---- One method per group of Keras layers.

  AttrMap conv_attrs(std::int64_t groups) const {
    AttrMap attrs = {
        {"padding", at_.padding()}, {"stride", at_.pair("strides", 1)}, {"dilation", at_.pair("dilation_rate", 1)}};
    if (groups != 1) attrs["groups"] = groups;
    return attrs;
  }
  std::vector<Weight> with_bias(std::vector<Weight> weights, std::int64_t channels) const {
    if (at_.flag("use_bias", true)) weights.push_back({"bias", "bias", {channels}});
    return weights;
  }

  Value conv2d(const Value& in) {
    need_image(in);
    at_.need_channels_last();
    const auto kernel = at_.pair("kernel_size", 1);
    const std::int64_t filters = at_.integer("filters", 0), groups = at_.integer("groups", 1);
    if (groups < 1 || in.dims.c % groups != 0) at_.refuse("has " + std::to_string(groups) + " groups");
    AttrMap attrs = conv_attrs(groups);
    return inline_activation(
        add(key_, "conv2d", {in}, std::move(attrs),
            with_bias({{"weight", "kernel", {filters, in.dims.c / groups, kernel[0], kernel[1]}}}, filters)));
  }
  Value depthwise(const Value& in, bool separable) {
    need_image(in);
    at_.need_channels_last();
    const auto kernel = at_.pair("kernel_size", 1);
    const std::int64_t channels = checked_channels(in.dims.c, at_.integer("depth_multiplier", 1));
    AttrMap attrs = conv_attrs(in.dims.c);
    std::vector<Weight> weights = {{"weight", "depthwise_kernel", {channels, 1, kernel[0], kernel[1]}}};
    if (!separable) {
      return inline_activation(add(key_, "conv2d", {in}, std::move(attrs), with_bias(std::move(weights), channels)));
    }
    const Value depth = add(key_ + "/depthwise", "conv2d", {in}, std::move(attrs), weights);
    const std::int64_t filters = at_.integer("filters", 0);
    return inline_activation(add(key_, "conv2d", {depth}, {},
                                 with_bias({{"weight", "pointwise_kernel", {filters, channels, 1, 1}}}, filters)));
  }
  std::int64_t checked_channels(std::int64_t channels, std::int64_t multiplier) const {
    if (multiplier < 1 || multiplier > 4096) at_.refuse("has depth_multiplier " + std::to_string(multiplier));
    return channels * multiplier;
  }
  Value batch_norm(const Value& in) {
    need_last_axis(at_.find("axis"), in);
    std::vector<Weight> weights;
    if (at_.flag("scale", true)) weights.push_back({"gamma", "gamma", {in.dims.c}});
    if (at_.flag("center", true)) weights.push_back({"beta", "beta", {in.dims.c}});
    weights.push_back({"mean", "moving_mean", {in.dims.c}});
    weights.push_back({"var", "moving_variance", {in.dims.c}});
    return add(key_, "batch_norm", {in}, {{"eps", at_.number("epsilon", 1e-3)}}, weights);
  }
  Value dense(const Value& in) {
    const std::int64_t units = at_.integer("units", 0);
    // On an image Dense would act on every position.
    if (in.dims.h != 1 || in.dims.w != 1) {
      at_.refuse("is a Dense layer on an image of " + to_string(in.dims),
                 "put Flatten or GlobalAveragePooling2D before it, or use a 1x1 Conv2D");
    }
    return inline_activation(
        add(key_, "dense", {in}, {}, with_bias({{"weight", "kernel", {units, in.dims.c}}}, units)));
  }
  Value pool(const Value& in, const char* op) {
    need_image(in);
    at_.need_channels_last();
    const auto kernel = at_.pair("pool_size", 2);
    const auto stride = at_.find("strides") == nullptr ? kernel : at_.pair("strides", 1);
    return add(key_, op, {in}, {{"kernel", kernel}, {"stride", stride}, {"padding", at_.padding()}});
  }
  Value global_pool(const Value& in) {
    need_image(in);
    at_.need_channels_last();
    Value out = add(key_, "global_avg_pool", {in}, {});
    out.flat = !at_.flag("keepdims", false);
    return out;
  }
  Value zero_padding(const Value& in) {
    need_image(in);
    at_.need_channels_last();
    const Json* padding = at_.find("padding");
    std::vector<std::int64_t> pads = {1, 1, 1, 1};
    if (padding != nullptr && padding->is_array()) {
      const std::string where = at_.place() + ": padding";
      pads.clear();
      std::vector<std::array<std::int64_t, 2>> sides;
      for (const Json& side : padding->as_array(where)) {
        if (side.is_int()) {
          sides.push_back({side.as_int(), side.as_int()});
        } else {
          const auto& both = side.as_array(where);
          if (both.size() != 2) at_.refuse("has a padding that is no pair");
          sides.push_back({both[0].as_int(where), both[1].as_int(where)});
        }
      }
      if (sides.size() != 2) at_.refuse("has a padding that is no pair");
      pads = {sides[0][0], sides[1][0], sides[0][1], sides[1][1]};
    } else if (padding != nullptr) {
      pads.assign(4, padding->as_int(at_.place() + ": padding"));
    }
    return add(key_, "pad", {in}, {{"pads", pads}});
  }
  Value flatten(const Value& in) {
    at_.need_channels_last();
    Value out = add(key_, "flatten", {in}, {{"order", std::string("nhwc")}});
    out.flat = true;
    return out;
  }
  /// Only what leaves the values where they are: to (1, 1, C), to (C), or everything into one axis.
  Value reshape(const Value& in) {
    const std::string where = at_.place() + ": target_shape";
    std::vector<std::int64_t> target;
    for (const Json& size :
         at_.find("target_shape") == nullptr ? Json::Array{} : at_.find("target_shape")->as_array(where)) {
      target.push_back(size.as_int(where));
    }
    const std::int64_t features = in.dims.h * in.dims.w * in.dims.c;
    if (target.size() == 1 && (target[0] == -1 || target[0] == features)) return flatten(in);
    if (target.size() == 3 && in.dims.h == 1 && in.dims.w == 1 && target[0] == 1 && target[1] == 1 &&
        (target[2] == -1 || target[2] == in.dims.c)) {
      Value out = in;
      out.flat = false;
      return out;
    }
    if (target.size() == 3 && !in.flat && target[0] == in.dims.h && target[1] == in.dims.w && target[2] == in.dims.c)
      return in;
    at_.refuse("reshapes " + to_string(in.dims) + " to something else than a vector or 1 x 1 x C");
  }
  Value sum(const std::vector<Value>& inputs) {
    if (inputs.size() < 2) at_.refuse("adds " + std::to_string(inputs.size()) + " value");
    Value total = inputs[0];
    for (std::size_t i = 1; i < inputs.size(); ++i) {
      total = add(i + 1 == inputs.size() ? key_ : key_ + "/" + std::to_string(i), "add", {total, inputs[i]}, {});
    }
    return total;
  }
  Value product(const std::vector<Value>& inputs) {
    if (inputs.size() != 2) at_.refuse("multiplies " + std::to_string(inputs.size()) + " values, 2 are supported");
    const bool scale_first = inputs[0].dims.h * inputs[0].dims.w < inputs[1].dims.h * inputs[1].dims.w;
    return add(key_, "mul", {inputs[scale_first ? 1 : 0], inputs[scale_first ? 0 : 1]}, {});
  }
  Value relu(const Value& in) {
    const double slope = at_.number("negative_slope", 0), threshold = at_.number("threshold", 0);
    const Json* limit = at_.find("max_value");
    if (threshold != 0) at_.refuse("is a ReLU with threshold " + std::to_string(threshold) + ", 0 is supported");
    if (limit == nullptr) {
      return slope == 0 ? add(key_, "relu", {in}, {}) : add(key_, "leaky_relu", {in}, {{"alpha", slope}});
    }
    if (limit->as_double(at_.place() + ": max_value") != 6 || slope != 0)
      at_.refuse("is a ReLU with max_value " + limit->dump() + ", none or 6 without a slope is supported");
    return add(key_, "relu6", {in}, {});
  }
  Value leaky_relu(const Value& in) {
    const double slope = at_.number("alpha", at_.number("negative_slope", 0.3));
    return add(key_, "leaky_relu", {in}, {{"alpha", slope}});
  }
  /// y = x scale + offset is (x - mean) / sqrt(var) with mean = -offset / scale and var = 1 / scale^2.
  /// y = scale x + offset per channel.
  Value affine(const Value& in, const std::vector<double>& scale, const std::vector<double>& offset) {
    std::vector<float> mean, variance;
    for (std::size_t c = 0; c < scale.size(); ++c) {
      if (!(scale[c] > 0) || std::isinf(scale[c]))
        at_.refuse("has scale " + std::to_string(scale[c]) + ", a positive one is supported");
      const double inverse = 1.0 / scale[c];
      mean.push_back(static_cast<float>(-offset[c] * inverse));
      variance.push_back(static_cast<float>(inverse * inverse));
    }
    return constant_affine(in, std::move(mean), std::move(variance));
  }
  Value rescaling(const Value& in) {
    const auto scale = at_.per_channel("scale", 1, in.dims.c), offset = at_.per_channel("offset", 0, in.dims.c);
    return affine(in, {scale.begin(), scale.end()}, {offset.begin(), offset.end()});
  }
  /// x + y, x - y, x * y or x / y with a constant y, as preprocess_input writes them into a model.
  Value arithmetic(char op, const Value& in, const KerasConfig& arguments) {
    std::vector<double> scale, offset;
    for (const float number : arguments.per_channel("y", 0, in.dims.c)) {
      const auto y = static_cast<double>(number);
      scale.push_back(op == '*' ? y : op == '/' ? 1 / y : 1);
      offset.push_back(op == '+' ? y : op == '-' ? -y : 0);
    }
    return affine(in, scale, offset);
  }
  Value normalization(const Value& in) {
    const Json* axis = at_.find("axis");
    const bool one_for_all = axis == nullptr || (axis->is_array() && axis->as_array().empty());  // axis=None
    if (!one_for_all) need_last_axis(axis, in);
    if (at_.flag("invert", false)) at_.refuse("is a Normalization with invert");
    rescales_ = true;
    const bool adapted = at_.find("mean") == nullptr;
    if (one_for_all && adapted) {
      at_.refuse("is a Normalization with axis=None that was adapted: one mean for all channels is not supported",
                 "build it with mean= and variance=, or with axis=-1 and that mean for each channel, and save again");
    }
    // Keras divides by no less than 1e-7: channels that never changed have variance 0.
    constexpr float least_variance = 1e-14f;
    if (!adapted) {
      std::vector<float> variance = at_.per_channel("variance", 1, in.dims.c);
      for (float& value : variance) value = std::max(value, least_variance);
      return constant_affine(in, at_.per_channel("mean", 0, in.dims.c), std::move(variance));
    }
    return add(key_, "batch_norm", {in}, {{"eps", static_cast<double>(least_variance)}},
               {{"mean", "mean", {in.dims.c}}, {"var", "variance", {in.dims.c}}});
  }

  Value translate(const KerasLayer& layer, const std::vector<Value>& inputs, const Json& arguments) {
    const std::string& kind = layer.class_name;
    const char sign = keras_operator(layer);
    if (sign != 0 && inputs.size() == 1 && arguments.find("y") != nullptr)
      return arithmetic(sign, inputs[0], KerasConfig(arguments, where_, layer.name));
    if (sign == '+' || kind == "Add" || kind == "Sum") return sum(inputs);
    if (sign == '*' || kind == "Multiply") return product(inputs);
    if (kind == "TFOpLambda" || kind == "TensorFlowOpLayer") {
      const std::string function = at_.text("function", "");
      if (inputs.size() == 1 && (function == "nn.relu" || function == "nn.relu6" || function == "nn.softmax"))
        return activation(inputs[0], function.substr(3), key_);
      at_.refuse("calls the TensorFlow function \"" + function + "\", which is not supported");
    }
    if (inputs.size() != 1) {
      const bool vowel = kind.find_first_of("AEIOUaeiou") == 0;
      at_.refuse((vowel ? "is an " : "is a ") + kind + " of " + std::to_string(inputs.size()) +
                 " values, which is not supported");
    }
    const Value& in = inputs[0];
    if (is_keras_function(layer) &&
        (kind == "Relu" || kind == "Relu6" || kind == "Softmax" || kind == "Sigmoid" || kind == "Silu")) {
      need_last_axis(at_.find("axis"), in);
      return activation(in, keras_snake_case(kind), key_);
    }
    if (is_training_only(kind) || kind == "Identity") return in;
    if (kind == "Conv2D") return conv2d(in);
    if (kind == "DepthwiseConv2D" || kind == "SeparableConv2D") return depthwise(in, kind == "SeparableConv2D");
    if (kind == "BatchNormalization" || kind == "BatchNormalizationV1") return batch_norm(in);
    if (kind == "Dense") return dense(in);
    if (kind == "MaxPooling2D") return pool(in, "max_pool");
    if (kind == "AveragePooling2D") return pool(in, "avg_pool");
    if (kind == "GlobalAveragePooling2D") return global_pool(in);
    if (kind == "ZeroPadding2D") return zero_padding(in);
    if (kind == "Flatten") return flatten(in);
    if (kind == "Reshape") return reshape(in);
    if (kind == "Activation") return activation(in, activation_name(), key_);
    if (kind == "ReLU") return relu(in);
    if (kind == "LeakyReLU") return leaky_relu(in);
    if (kind == "Softmax") {
      need_last_axis(at_.find("axis"), in);
      return activation(in, "softmax", key_);
    }
    if (kind == "Rescaling") return rescaling(in);
    if (kind == "Normalization") return normalization(in);
    if (kind == "Lambda") {
      at_.refuse("is a Lambda layer: it holds a program, and none is run",
                 "rewrite it with Keras layers (Rescaling, Activation ...) and save the model again");
    }
    at_.refuse("is of the class " + kind + ", which is not supported");
  }

  /// What a call says besides its inputs.
  void check_arguments(const KerasLayer& layer, const Json& arguments, const Value& in) const {
    const std::string& kind = layer.class_name;
    const bool is_function = layer.module.starts_with("keras.src.ops") || kind == "TFOpLambda";
    for (const auto& [key, value] : arguments.as_object()) {
      if (key == "y" && keras_operator(layer) != 0) continue;
      if (key == "axis") {
        need_last_axis(&value, in);
      } else if (key == "training") {  // Keras 2 obeys it, later versions do not at inference
        const bool changes = kind == "BatchNormalization" || kind.find("Dropout") != std::string::npos ||
                             kind.starts_with("Random") || kind == "GaussianNoise" || layer.model != nullptr;
        if (changes && keras_major_ < 3 && value.is_bool() && value.as_bool()) {
          at_.refuse("is called with training=True, so it would not act as at inference",
                     "build the model without that argument, load the weights and save it again");
        }
      } else if (is_function) {
        at_.refuse("calls " + kind + " with " + key + " = " + value.dump() + ", which is not supported");
      }
    }
  }

  // ---- Models.

  Value input_layer(const KerasModel& model) {
    const KerasLayer& layer = model.layers[model.input.layer];
    at_ = KerasConfig(layer.config, where_, layer.name);
    const Json* shape = at_.find("batch_shape");
    if (shape == nullptr) shape = at_.find("batch_input_shape");
    if (shape == nullptr) at_.refuse("does not say its shape", "save the model with a fixed number of channels");
    const std::string where = at_.place() + ": shape";
    const auto& sizes = shape->as_array(where);
    if (sizes.size() != 4) {
      at_.refuse("is an input of " + std::to_string(sizes.size()) +
                 " axes, images have 4 (batch, height, width, channels)");
    }
    const auto size = [&](std::size_t i) { return sizes[i].is_null() ? 224 : sizes[i].as_int(where); };
    if (sizes[3].is_null()) at_.refuse("does not say its number of channels");
    if (sizes[1].is_null() || sizes[2].is_null())
      graph_.recipe.note = "the model takes any input size: 224 assumed where it says none, --input-size changes it";
    for (const std::size_t axis : {1u, 2u}) {
      if (size(axis) >= 1 && size(axis) <= max_side) continue;
      at_.refuse("takes images with a side of " + std::to_string(size(axis)) + " pixels, 1 to 16384 are run",
                 "build the model for another input size and save that");
    }
    return add(key_of("", layer.name), "input", {}, {{"channels", size(3)}, {"height", size(1)}, {"width", size(2)}});
  }
  static std::string key_of(const std::string& prefix, const std::string& name) {
    return prefix.empty() ? name : prefix + '/' + name;
  }

  /// Nested at most 8 deep (parse_keras_model).
  Value model(const KerasModel& model, const Value& input, const std::string& prefix) {
    std::map<std::pair<std::size_t, std::size_t>, Value> values;
    for (const KerasValue& call : model.order) {
      const KerasLayer& layer = model.layers[call.layer];
      Value& out = values[{call.layer, call.call}];
      if (call.layer == model.input.layer) {
        out = input;
        continue;
      }
      std::vector<Value> inputs;
      for (const KerasValue& value : layer.calls[call.call].inputs)
        inputs.push_back(values.at({value.layer, value.call}));
      const std::string key = key_of(prefix, layer.name);
      key_ = key;
      at_ = KerasConfig(layer.config, where_, key);
      if (key.size() > max_keras_name) {
        at_.refuse(
            "has a name of " + std::to_string(key.size()) + " bytes with its models' names, 1000 at most are read",
            "give the models shorter names and save them again");
      }
      // The first calls of a shared model describe the layer where it was made, outside this model.
      if (inputs.empty()) at_.refuse("is a second input or a constant, which is not supported");
      check_arguments(layer, layer.calls[call.call].arguments, inputs[0]);
      out = layer.model ? this->model(*layer.model, inputs[0], key)
                        : translate(layer, inputs, layer.calls[call.call].arguments);
      if (layer.model && inputs.size() != 1) at_.refuse("is a model of " + std::to_string(inputs.size()) + " inputs");
    }
    return values.at({model.output.layer, model.output.call});
  }

  const int keras_major_;
  const std::string where_;
  std::string key_;              ///< its name, with its models' names
  KerasConfig at_;               ///< of the layer at hand
  std::set<std::string> names_;  ///< taken
  bool rescales_ = false;
  std::int64_t parameters_ = 0;
  KerasGraph graph_;
};

}  // namespace

KerasGraph keras_graph(const KerasModel& model, int keras_major, const std::string& where) {
  return Translator(keras_major, where).run(model);
}

}  // namespace resnet::convert
