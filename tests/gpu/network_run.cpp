#include "gpu/network_run.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "support/random_model.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"

namespace resnet::test {

Options& options() {
  static Options own;
  return own;
}

NetworkSpec network(const std::string& name, std::int64_t size, std::int64_t classes) {
  if (name.starts_with("seresnet"))
    return resnet_relative(Relative::squeeze_excite, "resnet" + name.substr(8), size, classes);
  if (name.starts_with("resnetv2_"))
    return resnet_relative(Relative::pre_activation, "resnet" + name.substr(9), size, classes);
  return torchvision_resnet(name, size, classes);
}

std::string model_file(const std::string& name, const NetworkSpec& layers) {
  static const ScratchFolder folder;
  static std::map<std::string, std::string> made;
  std::string& path = made[name];
  if (path.empty()) {
    path = folder / (name + ".rne");
    write_bytes(path, random_model(layers, 1));
  }
  return path;
}

std::string model_file(const std::string& name) {
  return model_file(name, network(name, options().size, test_classes));
}

ModelHandle load(const std::string& path) {
  rne_model* model = nullptr;
  EXPECT_EQ(rne_model_load(path.c_str(), &model), RNE_OK) << rne_last_error();
  return ModelHandle(model);
}

SessionHandle open(const ModelHandle& model, const char* device, const char* precision, bool deterministic,
                   const char* force) {
  rne_session_options wanted = {};
  wanted.struct_size = sizeof wanted;
  wanted.device = device, wanted.precision = precision, wanted.deterministic = deterministic ? 1 : 0;
  wanted.force_implementations = force;
  rne_session* session = nullptr;
  EXPECT_EQ(rne_session_create_with(model.get(), &wanted, &session), RNE_OK) << rne_last_error();
  return SessionHandle(session);
}

std::vector<float> run(const SessionHandle& session, const std::vector<float>& x, std::int64_t n) {
  std::vector<float> y(static_cast<std::size_t>(n * test_classes), std::nanf(""));
  const std::int64_t size = options().size;
  EXPECT_EQ(rne_session_run(session.get(), x.data(), RNE_FLOAT32, RNE_NHWC, n, size, size, y.data()), RNE_OK)
      << rne_last_error();
  return y;
}

std::vector<float> pictures(std::int64_t n, std::uint64_t seed) {
  return random_values(static_cast<std::size_t>(n * options().size * options().size * 3), seed);
}

}  // namespace resnet::test
