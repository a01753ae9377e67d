// Dynamic programming over the topological order. Before node i every node below i is covered; what else can matter for
// the rest is the state: which later nodes are covered already, the forms in which live values exist, and the sets that
// could close a cycle. One best cover is kept per state.

#include "plan/cover.hpp"

#include <algorithm>
#include <cstdio>
#include <unordered_map>

#include "base/check.hpp"

namespace resnet {
namespace {

/// Far more than networks with one layout need (1 to 10). Beyond it the cheapest states are kept.
constexpr std::size_t max_states = 4096;

/// A value that an uncovered node still reads, or that a covered one waits for.
struct LiveValue {
  NodeId value = 0;
  bool produced = false;
  ValueDesc desc;                ///< as produced
  std::vector<ValueDesc> forms;  ///< further forms that exist, or are waited for while not produced
};

using NodeSet = std::vector<NodeId>;

struct State {
  double us = 0;
  std::vector<LiveValue> live;
  std::vector<NodeSet> sets;  ///< chosen sets of several nodes that later choices could still close a cycle with
  std::size_t parent = 0;     ///< index among the states of the node before
  const Candidate* choice = nullptr;  ///< taken at the node before; null where it was covered already
  const Offer* offer = nullptr;

  bool covers(NodeId node) const {
    return std::any_of(sets.begin(), sets.end(),
                       [&](const NodeSet& set) { return std::binary_search(set.begin(), set.end(), node); });
  }
  const LiveValue* find(NodeId value) const {
    const auto found = std::find_if(live.begin(), live.end(), [&](const LiveValue& v) { return v.value == value; });
    return found == live.end() ? nullptr : &*found;
  }
  LiveValue& find_or_add(NodeId value) {
    const auto position = std::find_if(live.begin(), live.end(), [&](const LiveValue& v) { return v.value >= value; });
    if (position != live.end() && position->value == value) return *position;
    LiveValue added;
    added.value = value;
    return *live.insert(position, std::move(added));
  }
};

void append(std::string& key, std::int64_t number) {
  key.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void append(std::string& key, const ValueDesc& desc) {
  for (const std::int64_t field :
       {desc.dims.n, desc.dims.h, desc.dims.w, desc.dims.c, static_cast<std::int64_t>(desc.dtype),
        static_cast<std::int64_t>(desc.layout), desc.c_padded, static_cast<std::int64_t>(desc.zero_point)}) {
    append(key, field);
  }
  key.append(reinterpret_cast<const char*>(&desc.scale), sizeof desc.scale);
}

/// Equal exactly for states with the same future.
std::string key_of(const State& state) {
  std::string key;
  for (const LiveValue& live : state.live) {
    append(key, live.value);
    append(key, live.produced ? 1 : 0);
    if (live.produced) append(key, live.desc);
    append(key, static_cast<std::int64_t>(live.forms.size()));
    for (const ValueDesc& form : live.forms) append(key, form);
  }
  for (const NodeSet& set : state.sets) {
    append(key, -1);
    for (const NodeId node : set) append(key, node);
  }
  return key;
}

/// Times that differ by rounding alone are equal: then the list's order decides.
bool cheaper(double a, double b) { return a < b - 1e-9 * b; }

std::string us_text(double us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g us", us);
  return text;
}

class Search {
 public:
  explicit Search(CandidateTable& table) : table_(table), graph_(table.graph()), rules_(table.rules()) {}

  std::vector<ChosenStep> run() {
    State start;
    LiveValue input;
    input.produced = true;
    input.desc = rules_.external(table_.shapes().front());
    start.live.push_back(std::move(input));
    settle(start, 1);
    levels_.resize(static_cast<std::size_t>(graph_.size()) + 1);
    levels_[1].push_back(std::move(start));
    for (NodeId node = 1; node < graph_.size(); ++node) expand(node);
    return trace();
  }

 private:
  std::vector<State>& level(NodeId node) { return levels_[static_cast<std::size_t>(node)]; }

  void expand(NodeId node) {
    std::unordered_map<std::string, std::size_t> index;
    const auto& states = level(node);
    auto& next = level(node + 1);
    const auto keep = [&](State state) {
      const auto [entry, added] = index.try_emplace(key_of(state), next.size());
      if (added) {
        next.push_back(std::move(state));
      } else if (cheaper(state.us, next[entry->second].us)) {
        next[entry->second] = std::move(state);
      }
    };
    for (std::size_t s = 0; s < states.size(); ++s) {
      if (states[s].covers(node)) {
        State passed = states[s];
        passed.parent = s;
        passed.choice = nullptr;
        settle(passed, node + 1);
        keep(std::move(passed));
        continue;
      }
      for (const Candidate& candidate : table_.at(node)) {
        for (const Offer* offer : offers(states[s], candidate)) {
          std::string why_not;
          if (auto taken = take(states[s], candidate, *offer, node, why_not)) {
            taken->parent = s;
            keep(std::move(*taken));
          }
        }
      }
    }
    if (next.empty()) refuse(node);
    if (next.size() > max_states) {
      std::stable_sort(next.begin(), next.end(), [](const State& a, const State& b) { return a.us < b.us; });
      next.resize(max_states);
    }
  }

  /// The entry's answers to the forms that arrive and to canonical ones.
  std::vector<const Offer*> offers(const State& state, const Candidate& candidate) {
    if (!candidate.refusal.empty()) return {};
    // Who says nothing about descriptors has not thought of private ones.
    if (candidate.implementation->descs == nullptr) return {&table_.offer(candidate, candidate.problem.input_descs)};
    std::vector<ValueDesc> arriving = candidate.problem.input_descs;
    for (std::size_t i = 0; i < arriving.size(); ++i) {
      const LiveValue* live = state.find(candidate.problem.inputs[i]);
      if (live != nullptr && live->produced) arriving[i] = live->desc;
    }
    std::vector<const Offer*> list{&table_.offer(candidate, arriving)};
    if (arriving != candidate.problem.input_descs) {
      list.push_back(&table_.offer(candidate, candidate.problem.input_descs));
    }
    return list;
  }

  /// The state after the candidate was chosen at `node`, or why it cannot be.
  std::optional<State> take(const State& before, const Candidate& candidate, const Offer& offer, NodeId node,
                            std::string& why_not) {
    const auto no = [&](std::string why) {
      why_not = std::move(why);
      return std::nullopt;
    };
    if (!candidate.refusal.empty()) return no(candidate.refusal);
    if (!offer.refusal.empty()) return no(offer.refusal);
    for (const NodeId covered : candidate.nodes) {
      if (before.covers(covered)) return no("another chosen step covers " + graph_.node(covered).name);
    }
    if (closes_cycle(before, candidate.nodes)) return no("together with another chosen step it would wait for itself");

    State after = before;
    after.choice = &candidate;
    after.offer = &offer;
    after.us += offer.estimate_us;
    for (std::size_t i = 0; i < offer.problem.inputs.size(); ++i) {
      LiveValue& live = after.find_or_add(offer.problem.inputs[i]);
      const ValueDesc& wanted = offer.problem.input_descs[i];
      if (live.produced && live.desc == wanted) continue;
      if (std::find(live.forms.begin(), live.forms.end(), wanted) != live.forms.end()) continue;
      if (live.produced && !convert(after, live.value, live.desc, wanted)) return no(no_conversion(live.desc, wanted));
      live.forms.push_back(wanted);
    }
    for (std::size_t i = 0; i < offer.problem.outputs.size(); ++i) {
      LiveValue& live = after.find_or_add(offer.problem.outputs[i]);
      live.produced = true;
      live.desc = offer.problem.output_descs[i];
      std::erase(live.forms, live.desc);
      for (const ValueDesc& form : rules_.demands(live.value, live.desc)) {
        if (std::find(live.forms.begin(), live.forms.end(), form) == live.forms.end()) live.forms.push_back(form);
      }
      for (const ValueDesc& form : live.forms) {
        if (!convert(after, live.value, live.desc, form)) return no(no_conversion(live.desc, form));
      }
    }
    if (candidate.nodes.size() > 1) after.sets.push_back(candidate.nodes);
    settle(after, node + 1);
    return after;
  }

  bool convert(State& state, NodeId value, const ValueDesc& from, const ValueDesc& to) {
    const auto time = table_.conversion_time(value, from, to);
    if (time) state.us += time->us;
    return time.has_value();
  }

  static std::string no_conversion(const ValueDesc& from, const ValueDesc& to) {
    return "the backend has no conversion from " + to_string(from) + " to " + to_string(to);
  }

  /// Whether following values from `nodes` through chosen sets leads back into `nodes`. Sets that are not convex alone
  /// never come here; nodes without a set count as sets of one.
  bool closes_cycle(const State& state, const NodeSet& nodes) const {
    if (nodes.size() == 1 || state.sets.empty()) return false;
    NodeId end = nodes.back();  // above all sets every path only ascends
    for (const NodeSet& set : state.sets) end = std::max(end, set.back());
    NodeSet seen, todo = nodes;
    while (!todo.empty()) {
      const NodeId node = todo.back();
      todo.pop_back();
      const bool own = std::binary_search(nodes.begin(), nodes.end(), node);
      for (const NodeId user : rules_.consumers(node)) {
        const bool back = std::binary_search(nodes.begin(), nodes.end(), user);
        if (back && !own) return true;
        if (back || user > end || std::find(seen.begin(), seen.end(), user) != seen.end()) continue;
        NodeSet reached{user};
        for (const NodeSet& set : state.sets) {
          if (std::binary_search(set.begin(), set.end(), user)) reached = set;
        }
        seen.insert(seen.end(), reached.begin(), reached.end());
        todo.insert(todo.end(), reached.begin(), reached.end());
      }
    }
    return false;
  }

  /// Drops what no node from `next` on can need.
  void settle(State& state, NodeId next) const {
    std::erase_if(state.live, [&](const LiveValue& live) {
      const auto& users = rules_.consumers(live.value);
      return live.produced &&
             std::none_of(users.begin(), users.end(), [&](NodeId user) { return user >= next && !state.covers(user); });
    });
    // Kept are sets that reach to `next` or beyond, and closed ones whose span overlaps theirs, directly or in a chain.
    NodeId begin = next;
    for (bool changed = true; changed;) {
      changed = false;
      for (const NodeSet& set : state.sets) {
        if (set.back() < begin || set.front() >= begin) continue;
        begin = set.front();
        changed = true;
      }
    }
    std::erase_if(state.sets, [&](const NodeSet& set) { return set.back() < begin; });
  }

  [[noreturn]] void refuse(NodeId node) {
    const Node& layer = graph_.node(node);
    std::string reasons;
    for (const State& state : level(node)) {
      for (const Candidate& candidate : table_.at(node)) {
        const std::string line = std::string(candidate.implementation->name) + ": " + why(state, candidate, node);
        if (reasons.find(line) == std::string::npos) reasons += (reasons.empty() ? "" : "; ") + line;
      }
    }
    if (reasons.empty()) reasons = "no entry of the backend's list matches it";
    fail(ErrorCode::unsupported,
         "nothing computes this " + std::string(layer.op->name) + " in " +
             std::string(to_string(rules_.precision(node))) + " (" + reasons + ")",
         "layer " + layer.name, "use another precision or --device");
  }

  std::string why(const State& state, const Candidate& candidate, NodeId node) {
    if (!candidate.refusal.empty()) return candidate.refusal;
    std::string reason;
    for (const Offer* offer : offers(state, candidate)) take(state, candidate, *offer, node, reason);
    return reason;
  }

  std::vector<ChosenStep> trace() {
    // A graph of the input alone has no level beyond 1.
    const auto& ends = level(graph_.size());
    std::size_t best = 0;
    for (std::size_t s = 1; s < ends.size(); ++s) {
      if (cheaper(ends[s].us, ends[best].us)) best = s;
    }
    std::vector<ChosenStep> steps;
    for (NodeId node = graph_.size() - 1; node >= 1; --node) {
      const State& state = level(node + 1)[best];
      const State& before = level(node)[state.parent];
      if (state.choice != nullptr) {
        steps.push_back({state.choice->implementation, state.offer->problem, state.offer->estimate_us,
                         refusals(before, state, node), state.offer->measured});
      }
      best = state.parent;
    }
    std::reverse(steps.begin(), steps.end());
    return steps;
  }

  std::vector<Refusal> refusals(const State& before, const State& after, NodeId node) {
    std::vector<Refusal> list;
    const Candidate& chosen = *after.choice;
    const double chosen_us = after.us - before.us;
    for (const Candidate& candidate : table_.at(node)) {
      if (&candidate != &chosen) {
        list.push_back(
            {std::string(candidate.implementation->name), why_not(before, candidate, node, chosen, chosen_us)});
      }
    }
    for (const NodeId other : chosen.nodes) {
      if (other == node) continue;
      for (const Candidate& candidate : table_.at(other)) {
        std::string reason = candidate.refusal;
        if (reason.empty()) {
          const Offer& offer = table_.offer(candidate, candidate.problem.input_descs);
          reason = offer.refusal.empty() ? lost(candidate, offer.estimate_us, chosen, chosen_us) : offer.refusal;
        }
        list.push_back({std::string(candidate.implementation->name), graph_.node(other).name + ": " + reason});
      }
    }
    return list;
  }

  std::string why_not(const State& before, const Candidate& candidate, NodeId node, const Candidate& chosen,
                      double chosen_us) {
    std::string reason = candidate.refusal;
    std::optional<double> us;
    for (const Offer* offer : offers(before, candidate)) {
      if (const auto taken = take(before, candidate, *offer, node, reason)) {
        us = std::min(us.value_or(taken->us - before.us), taken->us - before.us);
      }
    }
    return us ? lost(candidate, *us, chosen, chosen_us) : reason;
  }

  /// The comparison that an entry lost. Times include the conversions that each would need.
  std::string lost(const Candidate& candidate, double us, const Candidate& chosen, double chosen_us) const {
    if (candidate.nodes == chosen.nodes && cheaper(chosen_us, us)) {
      return "takes " + us_text(us) + ", the chosen entry " + us_text(chosen_us);
    }
    if (candidate.nodes == chosen.nodes && &candidate > &chosen) {
      return "takes " + us_text(us) + " like the chosen entry, which stands earlier in the list";
    }
    return "takes " + us_text(us) + " for " + layer_text(graph_, candidate.nodes) + "; the cheapest cover has " +
           layer_text(graph_, chosen.nodes) + " in " + us_text(chosen_us);
  }

  CandidateTable& table_;
  const Graph& graph_;
  const ValueRules& rules_;
  std::vector<std::vector<State>> levels_;
};

}  // namespace

std::vector<ChosenStep> cheapest_cover(CandidateTable& table) { return Search(table).run(); }

}  // namespace resnet
