#include "runtime/plan_cache.hpp"

#include <utility>

#include "base/check.hpp"
#include "runtime/backend_run.hpp"

namespace resnet {
namespace {

constexpr std::array<std::pair<DType, LayoutId>, 4> input_kinds{{{DType::f32, LayoutId::nhwc},
                                                                 {DType::f32, LayoutId::nchw},
                                                                 {DType::u8, LayoutId::nhwc},
                                                                 {DType::u8, LayoutId::nchw}}};

}  // namespace

std::unique_ptr<Step> make_conversion(const Backend& backend, const ValueDesc& from, const ValueDesc& to, int threads) {
  const Implementation* conversion = backend.conversion();
  if (conversion == nullptr) return nullptr;
  StepProblem problem;
  problem.input_descs = {from};
  problem.output_descs = {to};
  problem.threads = threads;
  if (!conversion->supports(problem, backend.device())) return nullptr;
  return conversion->prepare(problem, backend.device());
}

std::size_t input_kind(DType dtype, Layout layout) {
  const LayoutId id = layout == Layout::nhwc ? LayoutId::nhwc : LayoutId::nchw;
  for (std::size_t kind = 0; kind < input_kinds.size(); ++kind) {
    if (input_kinds[kind] == std::pair{dtype, id}) return kind;
  }
  fail(ErrorCode::invalid_argument, "the input is neither float32 nor uint8", "Session::run, input");
}

PlanCache::PlanCache(std::shared_ptr<const detail::ModelState> model, std::shared_ptr<Backend> backend,
                     PlanOptions options, int max_plans)
    : model_(std::move(model)),
      backend_(std::move(backend)),
      options_(std::move(options)),
      max_plans_(static_cast<std::size_t>(max_plans)),
      optimised_(optimise(model_->graph(), PassOptions{options_.retain_names})) {}

ReadyPlan& PlanCache::get(std::int64_t n, std::int64_t h, std::int64_t w) {
  for (auto it = plans_.begin(); it != plans_.end(); ++it) {
    if (it->n == n && it->h == h && it->w == w) {
      plans_.splice(plans_.begin(), plans_, it);
      if (!plans_.front().recording) record(plans_.front());
      return plans_.front();
    }
  }
  // Nothing changes before the new plan is complete. Where the arena cannot grow, the session is left without plans and
  // makes them anew at its next run.
  ReadyPlan ready = make(n, h, w);
  reserve(ready.plan->arena.arena_bytes);
  bind_plan(*ready.plan, arena_->data(), ready.weights);
  record(ready);
  plans_.push_front(std::move(ready));
  if (plans_.size() > max_plans_) plans_.pop_back();
  return plans_.front();
}

ReadyPlan PlanCache::make(std::int64_t n, std::int64_t h, std::int64_t w) {
  ReadyPlan ready;
  ready.n = n;
  ready.h = h;
  ready.w = w;
  ready.plan = make_plan(optimised_, n, h, w, *backend_, options_);
  ready.weights = model_->weights().get(ready.plan->weights, backend_->allocator(), options_.threads);
  for (std::size_t kind = 0; kind < input_kinds.size(); ++kind) {
    ValueDesc from;
    from.dims = ready.plan->input.desc.dims;
    std::tie(from.dtype, from.layout) = input_kinds[kind];
    ready.input_steps[kind] = make_conversion(*backend_, from, ready.plan->input.desc, options_.threads);
  }
  ValueDesc out;
  out.dims = ready.plan->output.desc.dims;
  ready.output_step = make_conversion(*backend_, ready.plan->output.desc, out, options_.threads);
  ensure(ready.output_step != nullptr, "the backend copies its output");
  return ready;
}

void PlanCache::reserve(std::size_t bytes) {
  if (arena_ && arena_->size() >= bytes) return;
  arena_.reset();  // the old arena holds nothing between runs; both at once would double the peak
  try {
    arena_ = backend_->allocator().allocate(bytes);
  } catch (...) {
    plans_.clear();  // their addresses are gone
    throw;
  }
  for (ReadyPlan& plan : plans_) {
    plan.recording.reset();
    bind_plan(*plan.plan, arena_->data(), plan.weights);
  }
}

void PlanCache::record(ReadyPlan& ready) {
  if (!backend_->records()) return;
  // The first run loads code and makes what a library keeps per stream; neither may happen while recording.
  const std::vector<std::byte> input(ready.plan->input.desc.bytes());
  BackendRun first(*backend_, options_.threads);
  backend_->copy_to_device(arena_->data() + ready.plan->input.offset, input.data(), input.size());
  for (const auto& step : ready.plan->steps) step->run();
  first.finish();
  BackendRun recording(*backend_, options_.threads);
  ready.recording = backend_->record(ready.plan->steps);
  recording.finish();
}

}  // namespace resnet
