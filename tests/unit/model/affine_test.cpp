#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "model/weight_store.hpp"
#include "unit/model/model_bytes.hpp"

namespace resnet::testing {
namespace {

using Values = std::map<std::string, std::vector<float>>;

ScaleShift evaluate(const std::vector<AffineStage>& stages, std::size_t channels, const Values& values) {
  return evaluate_affine(stages, channels,
                         [&](const std::string& name) { return std::span<const float>(values.at(name)); });
}

AffineStage bias(const std::string& tensor) {
  AffineStage stage;
  stage.layer = "fc";
  stage.bias = tensor;
  return stage;
}

AffineStage batch_norm(double eps) {
  AffineStage stage;
  stage.kind = AffineStage::Kind::batch_norm;
  stage.layer = "bn1";
  stage.gamma = "g";
  stage.beta = "b";
  stage.mean = "m";
  stage.var = "v";
  stage.eps = eps;
  return stage;
}

Values with_variance(float variance) { return {{"g", {1, 1}}, {"b", {0, 0}}, {"m", {0, 0}}, {"v", {1, variance}}}; }

void expect_refused(const Error& error, ErrorCode code, const std::string& text) {
  EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
  EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
}

TEST(Affine, WithoutStagesIsTheIdentity) {
  const ScaleShift map = evaluate({}, 3, {});
  EXPECT_EQ(map.scale, std::vector<double>({1, 1, 1}));
  EXPECT_EQ(map.shift, std::vector<double>({0, 0, 0}));
}

TEST(Affine, BatchNormIsScaleAndShiftInDouble) {
  const Values values = {{"g", {2, -3}}, {"b", {0.5F, 1}}, {"m", {4, -2}}, {"v", {0.25F, 3}}};
  const ScaleShift map = evaluate({batch_norm(1e-5)}, 2, values);
  EXPECT_DOUBLE_EQ(map.scale[0], 2 / std::sqrt(0.25 + 1e-5));
  EXPECT_DOUBLE_EQ(map.shift[0], 0.5 - 4 * (2 / std::sqrt(0.25 + 1e-5)));
  EXPECT_DOUBLE_EQ(map.scale[1], -3 / std::sqrt(3 + 1e-5));
  EXPECT_DOUBLE_EQ(map.shift[1], 1 - 2 * (3 / std::sqrt(3 + 1e-5)));
}

TEST(Affine, AbsentGammaIsOneAndAbsentBetaIsZero) {
  AffineStage stage = batch_norm(0);
  stage.gamma.clear();
  stage.beta.clear();
  const ScaleShift map = evaluate({stage}, 1, {{"m", {3}}, {"v", {4}}});
  EXPECT_DOUBLE_EQ(map.scale[0], 0.5);
  EXPECT_DOUBLE_EQ(map.shift[0], -1.5);
}

TEST(Affine, StagesApplyInTheirOrder) {
  const Values values = {{"g", {2}}, {"b", {1}}, {"m", {3}}, {"v", {4}}, {"bias", {10}}};
  EXPECT_DOUBLE_EQ(evaluate({bias("bias"), batch_norm(0)}, 1, values).shift[0], (10 - 3) * 1.0 + 1);
  EXPECT_DOUBLE_EQ(evaluate({batch_norm(0), bias("bias")}, 1, values).shift[0], -3 * 1.0 + 1 + 10);
  EXPECT_DOUBLE_EQ(evaluate({batch_norm(0), batch_norm(0)}, 1, values).shift[0], (-2 - 3) * 1.0 + 1);
}

TEST(Affine, ZeroNegativeZeroAndDenormalVariancesAreLegal) {
  for (const float variance : {0.0F, -0.0F, 5.6e-45F}) {
    EXPECT_NEAR(evaluate({batch_norm(1e-5)}, 2, with_variance(variance)).scale[1], 1 / std::sqrt(1e-5), 1e-9);
  }
  EXPECT_GT(evaluate({batch_norm(0)}, 2, with_variance(5.6e-45F)).scale[1], 1e22) << "denormal without eps";
}

TEST(Affine, BadVariancesNameLayerTensorAndChannel) {
  const std::string at = "layer 'bn1', tensor 'v', channel 1: ";
  const auto error = [&](float variance, double eps) {
    return error_of([&] { evaluate({batch_norm(eps)}, 2, with_variance(variance)); });
  };
  expect_refused(error(-1e-6F, 1e-5), ErrorCode::bad_batch_norm, at + "the variance is negative");
  expect_refused(error(-5.6e-45F, 1e-5), ErrorCode::bad_batch_norm, at + "the variance is negative");
  expect_refused(error(0, 0), ErrorCode::bad_batch_norm, at + "variance + eps = 0 + 0 is not positive");
  expect_refused(error(1, -2), ErrorCode::bad_batch_norm, "is not positive");
  expect_refused(error(std::numeric_limits<float>::quiet_NaN(), 1e-5), ErrorCode::nonfinite_weight, at);
  expect_refused(error(std::numeric_limits<float>::infinity(), 1e-5), ErrorCode::nonfinite_weight, at);
}

TEST(Affine, WhatDoesNotFitIntoFp32IsRefused) {
  const Values large = {{"g", {1e30F}}, {"b", {0}}, {"m", {0}}, {"v", {1e-30F}}, {"bias", {3e38F}}};
  expect_refused(error_of([&] { evaluate({batch_norm(0)}, 1, large); }), ErrorCode::bad_batch_norm,
                 "does not fit into fp32");
  expect_refused(error_of([&] {
                   evaluate({bias("bias"), bias("bias")}, 1, large);
                 }),
                 ErrorCode::bad_batch_norm, "layer 'fc', tensor 'bias', channel 0");
}

TEST(Affine, TensorsAreListedOnceInOrder) {
  EXPECT_EQ(affine_tensors(std::vector{bias("x"), batch_norm(0), bias("x"), bias("m")}),
            std::vector<std::string>({"x", "g", "b", "m", "v"}));
}

TEST(Affine, KeysAreEqualExactlyForEqualStages) {
  const auto key = [](std::vector<AffineStage> stages) { return affine_key(stages); };
  EXPECT_EQ(key({batch_norm(1e-5), bias("x")}), key({batch_norm(1e-5), bias("x")}));
  EXPECT_EQ(key({batch_norm(0.0)}), key({batch_norm(-0.0)}));
  AffineStage no_gamma = batch_norm(1e-5), swapped = batch_norm(1e-5), sly = bias("x,1:y"), plain = bias("x");
  no_gamma.gamma.clear();
  std::swap(swapped.gamma, swapped.beta);
  AffineStage other_layer = bias("x");
  other_layer.layer = "fc2";
  const std::vector<std::vector<AffineStage>> all = {{},
                                                     {plain},
                                                     {plain, plain},
                                                     {sly},
                                                     {other_layer},
                                                     {batch_norm(1e-5)},
                                                     {batch_norm(std::nextafter(1e-5, 1))},
                                                     {no_gamma},
                                                     {swapped},
                                                     {plain, batch_norm(1e-5)},
                                                     {batch_norm(1e-5), plain}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(key(all[i]), key(all[j])) << i << " and " << j;
  }
}

}  // namespace
}  // namespace resnet::testing
