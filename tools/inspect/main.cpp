#include "common/open_session.hpp"
#include "common/run_tool.hpp"
#include "common/standard_output.hpp"
#include "inspect/options.hpp"
#include "inspect/report.hpp"

namespace resnet::tools {
namespace {

ExitCode inspect(int argc, char** argv) {
  const auto options = parse_inspect_options(argc, argv);
  if (!options) return ExitCode::ok;
  const Model model = Model::load(options->model);
  Session session = open_session(model, options->session);
  const auto own = model.input_size();
  const Size size = options->input_size.value_or(Size{own.height, own.width});
  session.prepare(options->batch, size.height, size.width);

  const Json all = inspection(model.describe_json(), session.describe_json());
  StandardOutput out;
  out.write(options->json ? all.dump(2) + "\n" : inspection_text(options->model, all, options->graph));
  out.flush();
  return ExitCode::ok;
}

}  // namespace
}  // namespace resnet::tools

int main(int argc, char** argv) {
  return resnet::tools::run_tool("resnet_inspect", argc, argv, resnet::tools::inspect);
}
