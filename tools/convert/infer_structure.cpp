#include "convert/infer_structure.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <string_view>
#include <utility>

#include "convert/resnet_shape.hpp"

namespace resnet::convert {
namespace {

/// A convolution and the batch norm behind it.
struct Unit {
  std::int64_t in = 0;  ///< per group
  std::int64_t out = 0, kernel = 0;
  std::vector<std::size_t> convolution;  ///< weight, perhaps bias: indices of tensors
  std::vector<std::size_t> norm;         ///< gamma, beta, mean, var
};
struct Chain {
  std::vector<Unit> units;
  std::vector<std::size_t> head;
  std::int64_t features = 0, classes = 0;
};

std::string_view folder(std::string_view name) {
  for (const char* separators : {"./", "_"}) {
    const std::size_t end = name.find_last_of(separators);
    if (end != std::string_view::npos) return name.substr(0, end);
  }
  return {};
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return text.find(part) != std::string_view::npos; });
}

/// Place of a batch norm's vector among gamma, beta, mean, var; -1 when its name does not say.
int norm_role(std::string_view name) {
  std::string leaf(name.substr(std::min(name.size(), folder(name).size())));
  std::transform(leaf.begin(), leaf.end(), leaf.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (contains_any(leaf, {"mean"})) return 2;
  if (contains_any(leaf, {"var"})) return 3;
  if (contains_any(leaf, {"bias", "beta", "offset", "shift"})) return 1;
  if (contains_any(leaf, {"weight", "gamma", "scale"})) return 0;
  return -1;
}

class Reader {
 public:
  Reader(const std::vector<SourceTensor>& tensors, std::string& why_not) : tensors_(tensors), why_not_(why_not) {}

  std::optional<Chain> read() {
    std::size_t i = 0;
    while (i < tensors_.size()) {
      std::vector<std::size_t> module;
      const std::string_view place = folder(tensors_[i].name);
      for (; i < tensors_.size() && folder(tensors_[i].name) == place; ++i) {
        const SourceTensor& tensor = tensors_[i];
        if (tensor.shape.empty() || tensor.name.ends_with("num_batches_tracked")) continue;
        // Without folders in the names, the next convolution or head begins a module.
        if (!module.empty() && tensor.shape.size() > 1) break;
        module.push_back(i);
      }
      if (!module.empty() && !add(module)) return std::nullopt;
    }
    if (!waiting_.empty()) return no(tensors_[chain_.units[waiting_.front()].convolution[0]], "has no batch norm");
    if (chain_.head.empty() || chain_.units.size() < 3) {
      const std::size_t count = chain_.units.size();
      why_not_ = (count == 1 ? "there is " : "there are ") + std::to_string(count) +
                 (count == 1 ? " convolution" : " convolutions") + " with batch norm and " +
                 (chain_.head.empty() ? "no classifier, as in a backbone" : "a classifier");
      return std::nullopt;
    }
    return std::move(chain_);
  }

 private:
  std::nullopt_t no(const SourceTensor& tensor, const std::string& reason) {
    why_not_ = tensor.key + " (" + to_string(tensor.shape) + ") " + reason;
    return std::nullopt;
  }
  bool fail(const SourceTensor& tensor, const std::string& reason) {
    no(tensor, reason);
    return false;
  }

  /// A module's tensors: of a convolution, of the head, of a batch norm, or of a convolution with its batch norm.
  bool add(std::vector<std::size_t> module) {
    const SourceTensor& first = tensors_[module[0]];
    const std::size_t vectors = module.size() - 1;
    const bool last = std::none_of(tensors_.begin() + static_cast<std::ptrdiff_t>(module[0]), tensors_.end(),
                                   [](const SourceTensor& tensor) { return tensor.shape.size() == 4; });
    if (!chain_.head.empty() && last && first.shape.size() == 2 && first.shape[1] == chain_.classes) {
      return fail(first, "is a second dense layer: what lies between it and " + tensors_[chain_.head[0]].key +
                             ", no tensor tells (export the network to ONNX)");
    }
    if (!chain_.head.empty()) return fail(first, "stands behind the classifier");
    if (first.shape.size() == 2) {
      if (vectors > 1 || (vectors == 1 && tensors_[module[1]].shape[0] != first.shape[0])) {
        return fail(first, "is no dense layer");
      }
      chain_.head = std::move(module);
      chain_.features = first.shape[1];
      chain_.classes = first.shape[0];
      return true;
    }
    if (first.shape.size() == 4) {
      if (first.shape[2] != first.shape[3]) return fail(first, "is not square");
      Unit unit;
      unit.out = first.shape[0];
      unit.in = first.shape[1];
      unit.kernel = first.shape[2];
      const std::size_t own = vectors == 1 || vectors == 5 ? 2 : 1;  // with a bias
      unit.convolution.assign(module.begin(), module.begin() + static_cast<std::ptrdiff_t>(own));
      waiting_.push_back(chain_.units.size());
      chain_.units.push_back(std::move(unit));
      if (module.size() == own) return true;
      module.erase(module.begin(), module.begin() + static_cast<std::ptrdiff_t>(own));
    }
    return add_norm(module);
  }

  bool add_norm(const std::vector<std::size_t>& module) {
    const SourceTensor& first = tensors_[module[0]];
    if (module.size() != 4) return fail(first, "is no part of a convolution, a batch norm or a dense layer");
    std::array<std::size_t, 4> ordered = {module[0], module[1], module[2], module[3]};
    std::array<int, 4> roles = {};
    for (std::size_t i = 0; i < 4; ++i) {
      if (tensors_[module[i]].shape != first.shape || first.shape.size() != 1) {
        return fail(tensors_[module[i]], "is no part of a batch norm");
      }
      roles[i] = norm_role(tensors_[module[i]].name);
    }
    auto sorted = roles;
    std::sort(sorted.begin(), sorted.end());
    if (sorted == std::array<int, 4>{0, 1, 2, 3}) {  // otherwise PyTorch's order
      for (std::size_t i = 0; i < 4; ++i) ordered[static_cast<std::size_t>(roles[i])] = module[i];
    }
    // Some constructors make all convolutions of a block before its batch norms.
    if (waiting_.empty()) return fail(first, "is a batch norm without a convolution before it");
    Unit& unit = chain_.units[waiting_.front()];
    waiting_.pop_front();
    if (unit.out != first.shape[0]) return fail(first, "does not fit the convolution before it");
    unit.norm.assign(ordered.begin(), ordered.end());
    return true;
  }

  const std::vector<SourceTensor>& tensors_;
  std::string& why_not_;
  Chain chain_;
  std::deque<std::size_t> waiting_;  ///< units without a batch norm yet
};

struct Block {
  std::size_t first = 0;  ///< unit
  bool projected = false;
};
struct Reading {
  bool bottleneck = false, projection_first = false;
  std::size_t stem = 1;
  std::vector<Block> blocks;
  std::size_t length(bool projected) const { return (bottleneck ? 3u : 2u) + (projected ? 1u : 0u); }
};

/// All ways to read the units behind the stem as blocks of one kind; two are enough to know that there is no one way.
class BlockReader {
 public:
  BlockReader(const Chain& chain, Reading kind)
      : units_(chain.units), features_(chain.features), kind_(std::move(kind)) {}

  std::vector<Reading> read() {
    using State = std::pair<std::size_t, std::int64_t>;  // unit, channels
    struct Way {
      int ways = 0;
      State before;
      bool projected = false;
    };
    std::map<State, Way> states;
    const State start = {kind_.stem, units_[kind_.stem - 1].out};
    states[start] = {1, start, false};
    for (auto at = states.begin(); at != states.end(); ++at) {  // later states are added behind
      for (const bool projected : {false, true}) {
        const auto [unit, channels] = at->first;
        const std::int64_t out = block_at(unit, channels, projected);
        if (out == 0) continue;
        Way& next = states[{unit + kind_.length(projected), out}];
        next = {std::min(2, next.ways + at->second.ways), at->first, projected};
      }
    }
    const auto end = states.find({units_.size(), features_});
    std::vector<Reading> readings;
    if (end == states.end()) return readings;
    Reading reading = kind_;
    for (auto at = end; at->first != start; at = states.find(at->second.before)) {
      reading.blocks.push_back({at->second.before.first, at->second.projected});
    }
    std::reverse(reading.blocks.begin(), reading.blocks.end());
    readings.assign(static_cast<std::size_t>(end->second.ways), reading);
    return readings;
  }

 private:
  bool is(const Unit& unit, std::int64_t in, std::int64_t kernel) const {
    return unit.in == in && unit.kernel == kernel;
  }

  /// Channels behind the block that begins there, or 0 when none does.
  std::int64_t block_at(std::size_t i, std::int64_t channels, bool projected) const {
    if (i + kind_.length(projected) > units_.size()) return 0;
    const Unit* projection = !projected ? nullptr : &units_[kind_.projection_first ? i : i + kind_.length(false)];
    const Unit* path = &units_[projected && kind_.projection_first ? i + 1 : i];
    std::int64_t out = 0;
    if (kind_.bottleneck) {
      const bool grouped = path[1].in > 0 && path[0].out % path[1].in == 0;
      if (!is(path[0], channels, 1) || path[1].kernel != 3 || !grouped || !is(path[2], path[1].out, 1)) return 0;
      out = path[2].out;
    } else {
      if (!is(path[0], channels, 3) || !is(path[1], path[0].out, 3)) return 0;
      out = path[1].out;
    }
    if (projection != nullptr && (!is(*projection, channels, 1) || projection->out != out)) return 0;
    return projection == nullptr && out != channels ? 0 : out;
  }

  const std::vector<Unit>& units_;
  std::int64_t features_;
  Reading kind_;
};

std::string text_of(const Reading& reading, const std::vector<std::int64_t>& stages, const Chain& chain) {
  std::string counts;
  for (const std::int64_t count : stages) counts += (counts.empty() ? "" : ",") + std::to_string(count);
  const Unit& stem = chain.units[0];
  return "unknown names, but in their order the tensors are " +
         (reading.stem == 1 ? "a " : std::to_string(reading.stem) + " stem convolutions, the first ") +
         std::to_string(stem.kernel) + 'x' + std::to_string(stem.kernel) + (reading.stem == 1 ? " stem " : " ") +
         std::to_string(stem.in) + " -> " + std::to_string(stem.out) + ", " + std::to_string(reading.blocks.size()) +
         " blocks of " + (reading.bottleneck ? "1x1, 3x3, 1x1" : "two 3x3") + " in stages " + counts +
         " (where the 1x1 projections are), a classifier " + std::to_string(chain.features) + " -> " +
         std::to_string(chain.classes) + ", and no other sequence of residual blocks has them";
}

class Namer {
 public:
  Namer(const std::vector<SourceTensor>& tensors, const Chain& chain) : tensors_(tensors), chain_(chain) {}

  Inferred name(const Reading& reading) {
    for (std::size_t i = 0; i < reading.stem; ++i) {
      const bool last = i + 1 == reading.stem;
      set(chain_.units[i], reading.stem == 1 ? "conv1" : "conv1." + std::to_string(3 * i),
          last ? "bn1" : "conv1." + std::to_string(3 * i + 1));
    }
    std::vector<std::int64_t> stages;
    for (const Block& block : reading.blocks) {
      if (stages.empty() || block.projected) stages.push_back(0);
      const std::string p = "layer" + std::to_string(stages.size()) + '.' + std::to_string(stages.back()++) + '.';
      std::size_t unit = block.first;
      const auto project = [&] { set(chain_.units[unit++], p + "downsample.0", p + "downsample.1"); };
      if (block.projected && reading.projection_first) project();
      for (int i = 1; i <= (reading.bottleneck ? 3 : 2); ++i) {
        set(chain_.units[unit++], p + "conv" + std::to_string(i), p + "bn" + std::to_string(i));
      }
      if (block.projected && !reading.projection_first) project();
    }
    rename(chain_.head[0], "fc.weight");
    if (chain_.head.size() > 1) rename(chain_.head[1], "fc.bias");
    result_.why = text_of(reading, stages, chain_);
    return std::move(result_);
  }

 private:
  void rename(std::size_t index, const std::string& name) {
    result_.tensors.push_back(tensors_[index]);
    result_.tensors.back().name = name;
  }
  void set(const Unit& unit, const std::string& convolution, const std::string& norm) {
    rename(unit.convolution[0], convolution + ".weight");
    if (unit.convolution.size() > 1) rename(unit.convolution[1], convolution + ".bias");
    std::size_t i = 0;
    for (const char* part : {"weight", "bias", "running_mean", "running_var"}) {
      rename(unit.norm[i++], norm + '.' + part);
    }
  }

  const std::vector<SourceTensor>& tensors_;
  const Chain& chain_;
  Inferred result_;
};

}  // namespace

std::optional<Inferred> infer_structure(const std::vector<SourceTensor>& tensors, std::optional<bool> deep_stem,
                                        std::string& why_not) {
  const auto chain = Reader(tensors, why_not).read();
  if (!chain) return std::nullopt;
  std::vector<Reading> readings;
  for (const std::size_t stem : {std::size_t{1}, std::size_t{3}}) {
    const auto& units = chain->units;
    const bool deep = stem == 3;
    if (deep_stem && *deep_stem != deep) continue;
    if (deep && (units[0].kernel != 3 || units[1].kernel != 3 || units[2].kernel != 3 || units[1].in != units[0].out ||
                 units[2].in != units[1].out)) {
      continue;
    }
    for (const bool bottleneck : {false, true}) {
      for (const bool projection_first : {false, true}) {
        for (Reading& reading : BlockReader(*chain, {bottleneck, projection_first, stem, {}}).read()) {
          const bool projected = std::any_of(reading.blocks.begin(), reading.blocks.end(),
                                             [](const Block& block) { return block.projected; });
          if (projected || !projection_first) readings.push_back(std::move(reading));
        }
      }
    }
  }
  if (readings.size() == 1) {
    const auto stages = 1 + std::count_if(readings[0].blocks.begin() + 1, readings[0].blocks.end(),
                                          [](const Block& block) { return block.projected; });
    if (stages <= static_cast<std::ptrdiff_t>(max_stages)) return Namer(tensors, *chain).name(readings[0]);
  }
  why_not = readings.empty() ? "no sequence of residual blocks has the " + std::to_string(chain->units.size()) +
                                   " convolutions in their order"
                             : "several ResNets have these tensors in this order";
  if (readings.size() > 1 && readings.front().stem != readings.back().stem) {
    why_not +=
        ": has the stem three convolutions (--arch resnet,stem=deep) or one (stem=cifar: stride 1 and no pool, "
        "stem=imagenet: stride 2 and a max pool)?";
  }
  return std::nullopt;
}

}  // namespace resnet::convert
