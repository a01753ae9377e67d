#include "runtime/choose_implementations.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/names.hpp"

namespace resnet {
namespace {

void check_name(const std::string& name, const Backend& backend, const char* where) {
  std::vector<std::string> names;
  for (const Implementation* entry : backend.implementations()) names.emplace_back(entry->name);
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  if (backend.conversion() != nullptr && backend.conversion()->name == name) {
    fail(ErrorCode::invalid_argument,
         '"' + name + "\" only changes layout or precision and can be neither forced nor forbidden", where);
  }
  fail(ErrorCode::invalid_argument, std::string(backend.name()) + " has no implementation \"" + name + '"', where,
       "the nearest name is \"" + nearest_name(name, names) + "\"; resnet_inspect lists those of each layer");
}

}  // namespace

void choose_implementations(const SessionOptions& options, const Backend& backend, PlanOptions& plan) {
  for (const std::string& name : options.force_implementations) {
    check_name(name, backend, "force_implementations");
    plan.forced.insert(name);
  }
  for (const std::string& name : options.forbid_implementations) {
    check_name(name, backend, "forbid_implementations");
    if (plan.forced.contains(name))
      fail(ErrorCode::invalid_argument, '"' + name + "\" is forced, too", "forbid_implementations", "name it once");
    plan.refused.emplace(name, "forbidden by the caller");
  }
}

}  // namespace resnet
