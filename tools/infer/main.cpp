#include "common/run_tool.hpp"
#include "infer/classify.hpp"
#include "infer/options.hpp"

namespace {

resnet::tools::ExitCode infer(int argc, char** argv) {
  const auto options = resnet::tools::parse_infer_options(argc, argv);
  return options ? resnet::tools::classify(*options) : resnet::tools::ExitCode::ok;
}

}  // namespace

int main(int argc, char** argv) { return resnet::tools::run_tool("resnet_infer", argc, argv, infer); }
