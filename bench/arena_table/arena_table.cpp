// Prints docs/benchmarks.md, "Arena": activation memory of every torchvision ResNet against its lower bound.
// Usage: arena_table [DEVICE]   (default cpu)

#include <cstdio>
#include <string_view>

#include "plan/plan.hpp"
#include "support/resnet_graphs.hpp"

namespace resnet {
namespace {

std::shared_ptr<Backend> create(std::string_view device) {
  for (const BackendEntry& entry : backend_list()) {
    if (entry.name == device) return entry.create(0);
  }
  throw Error(ErrorCode::invalid_argument, "unknown device " + std::string(device));
}

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

void print_row(std::string_view name, std::int64_t batch, const Graph& graph, Backend& backend) {
  PlanOptions options;
  options.threads = backend.device().cores;
  const auto plan = make_plan(graph, batch, 224, 224, backend, options);
  const auto& arena = plan->arena;
  std::printf("| %-16s | %5d | %5zu | %10.2f | %16.2f | %6.4f |\n", std::string(name).c_str(), static_cast<int>(batch),
              plan->steps.size(), mebibytes(arena.arena_bytes), mebibytes(arena.lower_bound_bytes),
              static_cast<double>(arena.arena_bytes) / static_cast<double>(arena.lower_bound_bytes));
}

int run(std::string_view device) {
  const auto backend = create(device);
  std::printf("Device %s (%s), 224 x 224, fp32.\n\n", std::string(backend->name()).c_str(),
              backend->device().name.c_str());
  std::printf("| network          | batch | steps | arena, MiB | lower bound, MiB |  ratio |\n");
  std::printf("|------------------|------:|------:|-----------:|-----------------:|-------:|\n");
  for (const auto name : test::torchvision_resnets()) {
    auto spec = test::torchvision_resnet(name);
    const Graph graph = optimise(build_graph(std::move(spec.layers), spec.output, std::move(spec.tensors)), {});
    for (const std::int64_t batch : {1, 8, 32}) print_row(name, batch, graph, *backend);
  }
  return 0;
}

}  // namespace
}  // namespace resnet

int main(int argc, char** argv) {
  try {
    return resnet::run(argc > 1 ? argv[1] : "cpu");
  } catch (const resnet::Error& error) {
    std::fprintf(stderr, "arena_table: %s\n", error.what());
    return 1;
  }
}
