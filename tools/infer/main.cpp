#include "common/run_tool.hpp"
#include "infer/classify.hpp"
#include "infer/options.hpp"
#include "infer/self_test.hpp"

namespace {

resnet::tools::ExitCode infer(int argc, char** argv) {
  if (resnet::tools::wants_self_test(argc, argv)) return resnet::tools::infer_self_test(argc, argv);
  const auto options = resnet::tools::parse_infer_options(argc, argv);
  return options ? resnet::tools::classify(*options) : resnet::tools::ExitCode::ok;
}

}  // namespace

int main(int argc, char** argv) { return resnet::tools::run_tool("resnet_infer", argc, argv, infer); }
