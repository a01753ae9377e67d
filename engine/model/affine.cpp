#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "base/check.hpp"
#include "model/text.hpp"
#include "model/weight_store.hpp"

namespace resnet {
namespace {

using Lookup = std::function<std::span<const float>(const std::string&)>;

std::string channel_place(const AffineStage& stage, const std::string& tensor, std::size_t channel) {
  return "layer " + quoted(stage.layer) + ", tensor " + quoted(tensor) + ", channel " + std::to_string(channel);
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

/// One value per channel; an empty name stands for a constant.
class ChannelValues {
 public:
  ChannelValues(const AffineStage& stage, const std::string& tensor, double otherwise, std::size_t channels,
                const Lookup& lookup)
      : stage_(stage), tensor_(tensor), otherwise_(otherwise) {
    if (tensor.empty()) return;
    values_ = lookup(tensor);
    ensure(values_.size() == channels, "an affine tensor does not have one value per channel");
  }
  double operator[](std::size_t channel) const {
    if (tensor_.empty()) return otherwise_;
    const double value = static_cast<double>(values_[channel]);
    if (!std::isfinite(value)) {
      fail(ErrorCode::nonfinite_weight, "the value is NaN or infinite", channel_place(stage_, tensor_, channel));
    }
    return value;
  }

 private:
  const AffineStage& stage_;
  const std::string& tensor_;
  double otherwise_;
  std::span<const float> values_;
};

void check_variance(const AffineStage& stage, double var, std::size_t channel) {
  const auto refuse = [&](const std::string& message) {
    fail(ErrorCode::bad_batch_norm, message, channel_place(stage, stage.var, channel),
         "the source weights are damaged or belong to another layer");
  };
  if (var < 0) refuse("the variance is negative: " + number(var));
  if (!(var + stage.eps > 0))
    refuse("variance + eps = " + number(var) + " + " + number(stage.eps) + " is not positive");
}

void check_result(const AffineStage& stage, const std::string& tensor, double scale, double shift,
                  std::size_t channel) {
  constexpr double largest = std::numeric_limits<float>::max();
  // Written so that NaN (infinity minus infinity) is refused too.
  if (std::abs(scale) <= largest && std::abs(shift) <= largest) return;
  fail(ErrorCode::bad_batch_norm, "scale " + number(scale) + " or shift " + number(shift) + " does not fit into fp32",
       channel_place(stage, tensor, channel));
}

void apply_bias(const AffineStage& stage, std::size_t channels, const Lookup& lookup, ScaleShift& total) {
  const ChannelValues bias(stage, stage.bias, 0, channels, lookup);
  for (std::size_t c = 0; c < channels; ++c) {
    total.shift[c] += bias[c];
    check_result(stage, stage.bias, total.scale[c], total.shift[c], c);
  }
}

void apply_batch_norm(const AffineStage& stage, std::size_t channels, const Lookup& lookup, ScaleShift& total) {
  const ChannelValues gamma(stage, stage.gamma, 1, channels, lookup), beta(stage, stage.beta, 0, channels, lookup),
      mean(stage, stage.mean, 0, channels, lookup), var(stage, stage.var, 1, channels, lookup);
  for (std::size_t c = 0; c < channels; ++c) {
    const double variance = var[c];
    check_variance(stage, variance, c);
    const double scale = gamma[c] / std::sqrt(variance + stage.eps);
    total.scale[c] *= scale;
    total.shift[c] = (total.shift[c] - mean[c]) * scale + beta[c];
    check_result(stage, stage.var, total.scale[c], total.shift[c], c);
  }
}

template <class Use>
void for_each_tensor(const AffineStage& stage, const Use& use) {
  if (stage.kind == AffineStage::Kind::bias) return use(stage.bias);
  for (const std::string* name : {&stage.gamma, &stage.beta, &stage.mean, &stage.var}) use(*name);
}

}  // namespace

Lookup lookup_by_name(std::span<const TensorValues> tensors) {
  return [tensors](const std::string& name) {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const TensorValues& tensor) { return tensor.info->name == name; });
    ensure(found != tensors.end(), "an affine stage reads a tensor that was not requested");
    return found->values;
  };
}

ScaleShift evaluate_affine(std::span<const AffineStage> stages, std::size_t channels, const Lookup& lookup) {
  ScaleShift total{std::vector<double>(channels, 1.0), std::vector<double>(channels, 0.0)};
  for (const AffineStage& stage : stages) {
    const bool bias = stage.kind == AffineStage::Kind::bias;
    (bias ? apply_bias : apply_batch_norm)(stage, channels, lookup, total);
  }
  return total;
}

std::vector<std::string> affine_tensors(std::span<const AffineStage> stages) {
  std::vector<std::string> tensors;
  for (const AffineStage& stage : stages) {
    for_each_tensor(stage, [&](const std::string& name) {
      if (!name.empty() && std::find(tensors.begin(), tensors.end(), name) == tensors.end()) tensors.push_back(name);
    });
  }
  return tensors;
}

std::string affine_key(std::span<const AffineStage> stages) {
  std::string key;
  // Lengths before the names: no name can imitate the separators.
  const auto append = [&key](const std::string& name) { key += std::to_string(name.size()) + ':' + name + ','; };
  for (const AffineStage& stage : stages) {
    const bool bias = stage.kind == AffineStage::Kind::bias;
    key += bias ? "+bias(" : "+bn(";
    append(stage.layer);
    for (const std::string* name : {&stage.bias, &stage.gamma, &stage.beta, &stage.mean, &stage.var}) append(*name);
    char eps[20];  // exact; adding 0 makes -0 and 0, which are equal, one text
    std::snprintf(eps, sizeof eps, "%016llx", std::bit_cast<unsigned long long>(stage.eps + 0.0));
    key += eps;
    key += ')';
  }
  return key;
}

WeightRequest affine_request(std::span<const AffineStage> stages, std::size_t channels, AffinePart part) {
  WeightRequest request;
  request.tensors = affine_tensors(stages);
  request.format = (part == AffinePart::scale ? "scale of " : "shift of ") + affine_key(stages);
  request.bytes = channels * sizeof(float);
  request.pack = [kept = std::vector<AffineStage>(stages.begin(), stages.end()), channels, part](
                     std::span<const TensorValues> tensors, std::byte* out) {
    const ScaleShift affine = evaluate_affine(kept, channels, lookup_by_name(tensors));
    const std::vector<double>& values = part == AffinePart::scale ? affine.scale : affine.shift;
    for (std::size_t c = 0; c < channels; ++c) {
      const auto value = static_cast<float>(values[c]);
      std::memcpy(out + c * sizeof value, &value, sizeof value);
    }
  };
  return request;
}

}  // namespace resnet
