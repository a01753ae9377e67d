#include "common/open_session.hpp"
#include "common/run_tool.hpp"
#include "common/standard_output.hpp"
#include "inspect/dot.hpp"
#include "inspect/memory_svg.hpp"
#include "inspect/options.hpp"
#include "inspect/report.hpp"
#include "resnet_engine/planning.hpp"

namespace resnet::tools {
namespace {

std::string plan_json(const Model& model, const InspectOptions& options, Size size) {
  try {
    if (!options.device_info.empty())
      return describe_plan_for(model, options.device_info, options.batch, size.height, size.width, options.session);
  } catch (const Error& error) {
    throw in_option_words(error);
  }
  Session session = open_session(model, options.session);
  session.prepare(options.batch, size.height, size.width);
  return session.describe_json();
}

ExitCode inspect(int argc, char** argv) {
  const auto options = parse_inspect_options(argc, argv);
  if (!options) return ExitCode::ok;
  const Model model = Model::load(options->model);
  StandardOutput out;
  if (options->dot) {
    out.write(dot_text(options->model, model_part(model.describe_json())));
    out.flush();
    return ExitCode::ok;
  }
  const auto own = model.input_size();
  const Size size = options->input_size.value_or(Size{own.height, own.width});

  const Json all = inspection(model.describe_json(), plan_json(model, *options, size));
  if (options->json) {
    out.write(all.dump(2) + "\n");
  } else if (options->memory_svg) {
    out.write(memory_svg(options->model, all));
  } else {
    out.write(inspection_text(options->model, all, options->graph));
  }
  out.flush();
  return ExitCode::ok;
}

}  // namespace
}  // namespace resnet::tools

int main(int argc, char** argv) {
  return resnet::tools::run_tool("resnet_inspect", argc, argv, resnet::tools::inspect);
}
