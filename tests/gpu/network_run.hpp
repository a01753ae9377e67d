#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "resnet_engine/resnet_engine.h"
#include "support/resnet_graphs.hpp"

/// What the tests of whole networks share: networks with weights from a seed, run through the C interface.
namespace resnet::test {

struct Options {
  std::int64_t size = 224;
  std::vector<std::string> networks{"resnet18",   "resnet50",    "resnet152",      "resnext50_32x4d",
                                    "seresnet50", "resnetv2_50", "wide_resnet50_2"};
  std::string write_models;
  int threads = 20;
};
Options& options();

constexpr std::int64_t test_classes = 100;  ///< of the networks under test

/// @throws std::out_of_range for a name that is not in the help text
NetworkSpec network(const std::string& name, std::int64_t size, std::int64_t classes);
/// A model file with these layers, made once per name.
std::string model_file(const std::string& name, const NetworkSpec& layers);
std::string model_file(const std::string& name);

template <auto free_it>
struct Free {
  template <class Handle>
  void operator()(Handle* handle) const {
    free_it(handle);
  }
};
using ModelHandle = std::unique_ptr<rne_model, Free<rne_model_free>>;
using SessionHandle = std::unique_ptr<rne_session, Free<rne_session_free>>;

/// These fail the running test where the engine fails.
ModelHandle load(const std::string& path);
SessionHandle open(const ModelHandle& model, const char* device, const char* precision, bool deterministic = false,
                   const char* force = nullptr);
std::vector<float> run(const SessionHandle& session, const std::vector<float>& x, std::int64_t n);

/// n pictures of the options' size.
std::vector<float> pictures(std::int64_t n, std::uint64_t seed);

}  // namespace resnet::test
