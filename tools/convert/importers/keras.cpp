// Keras: whole models (.h5, .keras) and weights alone (.h5, .weights.h5).
#include "convert/importers/keras.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "convert/importers/hdf5_file.hpp"
#include "convert/importers/keras_applications.hpp"
#include "convert/importers/keras_config.hpp"
#include "convert/importers/keras_graph.hpp"
#include "convert/importers/keras_weights.hpp"

namespace resnet::convert {
namespace {

bool sniff(std::span<const std::byte> head, std::uint64_t) { return starts_with(head, "\x89HDF\r\n\x1a\n"); }

/// Datasets of an HDF5 file, which may itself have been unpacked from a .keras file.
class Datasets final : public StorageReader {
 public:
  Datasets(std::unique_ptr<const SourceFile> unpacked, std::unique_ptr<Hdf5File> file)
      : unpacked_(std::move(unpacked)), file_(std::move(file)) {}
  std::vector<std::byte> read(std::size_t storage) const override { return file_->read(datasets_.at(storage)); }

  const Hdf5File& file() const { return *file_; }
  /// @return the tensor, named as the file names it
  SourceTensor add(Hdf5File::Dataset dataset, std::string name) {
    SourceTensor tensor;
    tensor.name = std::move(name);
    tensor.key = dataset.path;
    tensor.type = dataset.type;
    tensor.shape = dataset.shape;
    tensor.strides = row_major_strides(dataset.shape, tensor.name);
    tensor.storage = datasets_.size();
    datasets_.push_back(std::move(dataset));
    return tensor;
  }

 private:
  std::unique_ptr<const SourceFile> unpacked_;  // before the file that reads it
  std::unique_ptr<Hdf5File> file_;
  std::vector<Hdf5File::Dataset> datasets_;
};

constexpr std::size_t max_tensors = 20'000;  // as in the counted layout

/// The older layout: a list of layers, per layer a group with a list of its weights.
void read_named(Datasets& datasets, const std::string& root, Imported& result) {
  const Hdf5File& file = datasets.file();
  std::vector<std::string> groups = file.texts(root, "layer_names").value_or(std::vector<std::string>());
  const std::size_t listed = groups.size();
  groups.emplace_back("top_level_model_weights");  // of a subclassed model, in no list
  std::set<std::string_view> seen;
  std::map<std::uint64_t, std::string_view> layer_of;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::string& layer = groups[i];
    if (!seen.insert(layer).second) {
      fail(ErrorCode::import_failed, "\"" + layer + "\" stands twice in the list of layers", "layer_names",
           "save the model again with Keras");
    }
    const std::string group = root.empty() ? layer : root + '/' + layer;
    if (layer.empty() || !file.has_group(group)) {
      if (i == listed) continue;
      fail(ErrorCode::import_failed, "lists the layer \"" + layer + "\", which has no group in the file", "layer_names",
           "the file is damaged; save the model again with Keras");
    }
    if (const auto [other, added] = layer_of.emplace(file.identity(group), layer); !added) {
      fail(ErrorCode::import_failed,
           "is the same group as \"" + std::string(other->second) + "\", which Keras never writes", group,
           "save the model again with Keras");
    }
    std::set<std::string> weights;
    for (const std::string& weight : file.texts(group, "weight_names").value_or(std::vector<std::string>())) {
      if (!weights.insert(weight).second) {
        fail(ErrorCode::import_failed, "\"" + weight + "\" stands twice in the list of weights", group,
             "save the model again with Keras");
      }
      if (result.tensors.size() == max_tensors) {
        fail(ErrorCode::limit_exceeded, "lists more than " + std::to_string(max_tensors) + " weights", group,
             "save the model alone, without other data");
      }
      std::string name = layer + '/' + weight;
      if (const std::size_t colon = name.rfind(':'); colon != std::string::npos && name.find('/', colon) == name.npos)
        name.erase(colon);  // "kernel:0"
      result.tensors.push_back(datasets.add(file.dataset(group + '/' + weight), std::move(name)));
    }
  }
}

/// The layout of Keras' own format: variables are counted per layer, layers per class.
void read_counted(Datasets& datasets, Imported& result) {
  for (Hdf5File::Dataset& dataset : datasets.file().datasets("")) {
    if (dataset.path.find("/vars/") == std::string::npos && !dataset.path.starts_with("vars/")) continue;
    std::string name = dataset.path;
    result.tensors.push_back(datasets.add(std::move(dataset), std::move(name)));
  }
}

void use_model(const KerasModel& model, const std::string& where, int major, Imported& weights) {
  // The architecture's own word counts: weights alone often do not say which Keras wrote them.
  KerasGraph graph = keras_graph(model, model.major != 0 ? model.major : major, where);
  name_keras_tensors(keras_node(model), weights.tensors, weights.notes, where);
  add_constants(weights, std::move(graph.constants));
  weights.graph = std::move(graph.recipe);
}

Imported read_hdf5(const SourceFile& source, std::unique_ptr<const SourceFile> unpacked) {
  auto datasets = std::make_shared<Datasets>(std::move(unpacked), std::make_unique<Hdf5File>(source));
  const Hdf5File& file = datasets->file();
  Imported result;
  result.storages = datasets;
  const std::string root = file.has_group("model_weights") ? "model_weights" : "";
  if (file.texts(root, "layer_names")) {
    result.format = root.empty() ? "Keras weights (HDF5)" : "Keras model (HDF5)";
    read_named(*datasets, root, result);
  } else {
    result.format = "Keras weights";
    read_counted(*datasets, result);
  }
  if (result.tensors.empty()) {
    fail(ErrorCode::import_failed, "is an HDF5 file without the weights of a Keras model", source.name(),
         "save it with model.save(\"model.h5\") or model.save_weights(\"model.weights.h5\")");
  }
  auto version = file.text("", "keras_version");
  if (!version) version = file.text(root, "keras_version");
  result.keras_major = version && keras_major(*version) == 2 ? 2 : 3;
  return result;
}

Imported read_h5(const SourceFiles& files) {
  Imported result = read_hdf5(files.main, nullptr);
  const auto& datasets = static_cast<const Datasets&>(*result.storages);
  if (const auto config = datasets.file().text("", "model_config")) {
    const auto version = datasets.file().text("", "keras_version");
    use_keras_model(*config, files.main.name(), version ? keras_major(*version) : 0, result);
  }
  return result;
}

}  // namespace

Imported read_keras_weights(std::unique_ptr<const SourceFile> unpacked) {
  const SourceFile& source = *unpacked;
  return read_hdf5(source, std::move(unpacked));
}

void use_keras_model(std::string_view json, const std::string& where, int keras_major, Imported& weights) {
  try {
    use_model(parse_keras_model(json, where), where, keras_major, weights);
  } catch (const Error& error) {
    explain(error, where);
  }
}

bool use_keras_application(std::string_view name, Imported& weights, const std::string& where) {
  // The last dense kernel in the file is the head: (features, classes).
  std::int64_t classes = 1000;
  for (const SourceTensor& tensor : weights.tensors) {
    if (tensor.shape.size() == 2) classes = tensor.shape[1];
  }
  const KerasModel model = keras_application(name, classes);
  if (model.layers.empty()) return false;
  use_model(model, where, weights.keras_major, weights);
  weights.graph->why = "keras.applications' " + model.name + ", by the names of its layers";
  return true;
}

std::string_view find_keras_application(const Imported& weights) {
  if (is_counted_layout(weights.tensors)) return {};  // numbers of layers are no names
  for (const std::string_view name : keras_application_names()) {
    if (fits_keras_layers(keras_node(keras_application(name, 1)), weights.tensors)) return name;
  }
  return {};
}

void name_by_recipe(const Recipe& recipe, Imported& weights, const std::string& where) {
  name_keras_tensors(keras_node(recipe), weights.tensors, weights.notes, where);
}

void name_without_architecture(Imported& weights) {
  if (!is_counted_layout(weights.tensors)) name_keras_tensors(weights.tensors, weights.notes);
}

bool fits_recipe(const Recipe& recipe, const Imported& weights) {
  return fits_keras_layers(keras_node(recipe), weights.tensors);
}

const Importer keras_h5_importer = {"Keras HDF5", sniff, read_h5};

}  // namespace resnet::convert
