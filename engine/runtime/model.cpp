#include "resnet_engine/model.hpp"

#include <set>

#include "base/check.hpp"
#include "base/json.hpp"
#include "runtime/model_state.hpp"

namespace resnet {
namespace detail {
namespace {

bool is_running_statistic(const OpDef& op, std::size_t role) {
  return op.name == "batch_norm" && (op.weights[role].role == "mean" || op.weights[role].role == "var");
}

std::int64_t elements(const TensorShape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

void add_parameters(const Graph& graph, const Node& node, std::set<std::string>& seen, ParameterCount& count) {
  for (std::size_t role = 0; role < node.weights.size(); ++role) {
    const std::string& name = node.weights[role];
    if (name.empty() || !seen.insert(name).second) continue;
    const std::int64_t size = elements(graph.tensors.at(name).shape);
    (is_running_statistic(*node.op, role) ? count.non_trainable : count.trainable) += size;
  }
}

Json to_json(const AttrMap& attrs) {
  Json json = Json::object();
  for (const auto& [name, value] : attrs) {
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
      Json array = Json::array();
      for (const std::int64_t element : *list) array.push(element);
      json.set(name, std::move(array));
    } else {
      std::visit(
          [&json, &key = name](const auto& scalar) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(scalar)>, std::vector<std::int64_t>>) {
              json.set(key, scalar);
            }
          },
          value);
    }
  }
  return json;
}

Json layers_json(const ModelState& model) {
  const Graph& graph = model.graph();
  const auto& shapes = model.default_shapes();
  std::set<std::string> seen;
  Json layers = Json::array();
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const Dims& dims = shapes[static_cast<std::size_t>(id)];
    Json inputs = Json::array();
    for (const NodeId input : node.inputs) inputs.push(graph.node(input).name);
    ParameterCount count;
    add_parameters(graph, node, seen, count);
    layers.push(Json::Object{{"name", node.name},
                             {"op", node.op->name},
                             {"inputs", std::move(inputs)},
                             {"shape", Json::Array{dims.n, dims.h, dims.w, dims.c}},
                             {"parameters", count.trainable + count.non_trainable},
                             {"macs", node_macs(graph, id, shapes)},
                             {"attrs", to_json(node.attrs)}});
  }
  return layers;
}

/// What the file says about pictures. Every error names the file.
Preprocess read_preprocess(const ModelFile& file) {
  const auto place = [&](const std::string& field) { return file.path() + ": " + field; };
  Preprocess preprocess;
  try {
    preprocess = Preprocess::from_json(file.header().preprocess_json);
  } catch (const Error& error) {
    fail(error.code(), error.message(), place(error.where()), error.next());
  }
  const std::int64_t channels = preprocess.channels();
  const std::int64_t wanted = file.header().graph.input_dims().c;
  if (channels != wanted) {
    fail(ErrorCode::bad_attribute,
         "pictures become " + std::to_string(channels) + (channels == 1 ? " channel" : " channels") +
             ", but the network takes " + std::to_string(wanted),
         place("preprocess.color"), "convert the weights again with a --preset that fits");
  }
  return preprocess;
}

}  // namespace

ModelState::ModelState(std::shared_ptr<const ModelFile> file) : file_(std::move(file)), weights_(file_) {
  if (!file_->header().preprocess_json.empty()) preprocess_ = read_preprocess(*file_);
  const Dims input = graph().input_dims();
  default_shapes_ = infer_shapes(graph(), 1, input.h, input.w);
}

ParameterCount count_parameters(const Graph& graph) {
  ParameterCount count;
  std::set<std::string> seen;
  for (const Node& node : graph.nodes) add_parameters(graph, node, seen, count);
  return count;
}

}  // namespace detail

Model Model::load(const std::string& path) {
  return Model(std::make_shared<const detail::ModelState>(ModelFile::open(path)));
}

Model::InputSize Model::input_size() const {
  const Dims dims = state_->graph().input_dims();
  return {dims.h, dims.w, dims.c};
}

std::int64_t Model::output_size() const {
  const Dims& dims = state_->default_shapes()[static_cast<std::size_t>(state_->graph().output)];
  return dims.h * dims.w * dims.c;
}

bool Model::ends_in_softmax() const {
  const Graph& graph = state_->graph();
  NodeId id = graph.output;
  while (graph.node(id).op->name == "identity") id = graph.node(id).inputs[0];
  return graph.node(id).op->name == "softmax";
}

const std::vector<std::string>& Model::labels() const { return state_->header().labels; }
const std::optional<Preprocess>& Model::preprocess() const { return state_->preprocess(); }
const std::string& Model::path() const { return state_->path(); }

std::string Model::describe_json() const {
  const Graph& graph = state_->graph();
  const InputSize input = input_size();
  const detail::ParameterCount count = detail::count_parameters(graph);
  std::int64_t macs = 0;
  for (NodeId id = 0; id < graph.size(); ++id) macs += node_macs(graph, id, state_->default_shapes());
  Json provenance = Json::object();
  for (const auto& [key, value] : state_->header().provenance) provenance.set(key, value);
  Json json = Json::Object{
      {"format_version", state_->header().version},
      {"input", Json::Object{{"height", input.height}, {"width", input.width}, {"channels", input.channels}}},
      {"output_size", output_size()},
      {"parameters", Json::Object{{"total", count.trainable + count.non_trainable},
                                  {"trainable", count.trainable},
                                  {"non_trainable", count.non_trainable}}},
      {"macs", macs},
      {"layers", detail::layers_json(*state_)},
      {"labels", labels().size()},
      {"preprocess", preprocess() ? parse_json(preprocess()->to_json(), "preprocess") : Json()},
      {"provenance", std::move(provenance)}};
  return json.dump(2);
}

}  // namespace resnet
