#include "runtime/plan_cache.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "runtime/normalizing_load.hpp"

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
                     PlanOptions options, int max_plans, SelfTest self_test, bool normalize_uint8)
    : model_(std::move(model)),
      backend_(std::move(backend)),
      options_(std::move(options)),
      max_plans_(static_cast<std::size_t>(max_plans)),
      optimised_(optimise(model_->graph(), PassOptions{options_.retain_names})),
      self_tests_(backend_, self_test) {
  if (!normalize_uint8) return;
  normalization_ = model_->preprocess();
  if (!normalization_) {
    fail(ErrorCode::unsupported, "the model file holds no preprocessing", "SessionOptions::normalize_uint8",
         "convert the model with --preset, or pass float32");
  }
}

PlanCache::~PlanCache() {
  try {
    backend_->settle();
  } catch (const Error&) {
    // The device has given up: nothing of it runs any more.
  }
}

ReadyPlan& PlanCache::get(std::int64_t n, std::int64_t h, std::int64_t w) {
  for (auto it = plans_.begin(); it != plans_.end(); ++it) {
    if (it->n == n && it->h == h && it->w == w) {
      plans_.splice(plans_.begin(), plans_, it);
      return plans_.front();
    }
  }
  // Nothing changes before the new plan is complete. Where the arena cannot grow, the session is left without plans and
  // makes them anew at its next run.
  ReadyPlan ready = make(n, h, w);
  backend_->settle();
  reserve(*ready.plan);
  bind(ready);
  plans_.push_front(std::move(ready));
  if (plans_.size() > max_plans_) plans_.pop_back();
  return plans_.front();
}

ReadyPlan PlanCache::make(std::int64_t n, std::int64_t h, std::int64_t w) {
  ReadyPlan ready;
  ready.n = n;
  ready.h = h;
  ready.w = w;
  do {
    ready.plan = make_plan(optimised_, n, h, w, *backend_, options_);
    options_.refused_problems = ready.plan->refused_problems;
  } while (self_tests_.check(*ready.plan, options_.refused));
  const Plan& plan = *ready.plan;
  ready.weights = model_->weights().get(plan.weights, backend_->allocator(), options_.threads);
  for (std::size_t kind = 0; kind < input_kinds.size(); ++kind) {
    ValueDesc from;
    from.dims = plan.input.desc.dims;
    std::tie(from.dtype, from.layout) = input_kinds[kind];
    InputLoad& load = ready.loads[kind];
    if (normalization_ && from.dtype == DType::u8) {
      load = normalizing_load(*backend_, *normalization_, from, plan);
      continue;
    }
    load = {make_conversion(*backend_, from, plan.entry.desc, options_.threads), false, plan.entry, plan.entry_step};
    if (!load.conversion)
      load = {make_conversion(*backend_, from, plan.input.desc, options_.threads), false, plan.input, 0};
    load.plain = from == load.to.desc;
  }
  ValueDesc out;
  out.dims = plan.output.desc.dims;
  ready.output_step = make_conversion(*backend_, plan.output.desc, out, options_.threads);
  ensure(ready.output_step != nullptr, "the backend copies its output");
  return ready;
}

void PlanCache::reserve(const Plan& plan) {
  // The old arena holds nothing between runs; both at once would double the peak.
  const bool arena_moves = !arena_ || arena_->size() < plan.arena.arena_bytes;
  const std::array sizes{plan.input.desc.bytes(), plan.output.desc.bytes()};
  if (!arena_moves && !outgrown(staging_[0], sizes[0]) && !outgrown(staging_[1], sizes[1])) return;
  for (ReadyPlan& other : plans_) other.replays.clear();  // before what they copy from and to is gone
  for (std::size_t side = 0; side < sizes.size(); ++side) {
    if (!outgrown(staging_[side], sizes[side])) continue;
    staging_[side].reset();
    staging_[side] = backend_->allocate_staging(sizes[side]);
  }
  if (!arena_moves) return;
  arena_.reset();
  try {
    arena_ = backend_->allocator().allocate(plan.arena.arena_bytes);
  } catch (...) {
    plans_.clear();  // their addresses are gone
    throw;
  }
  for (ReadyPlan& other : plans_) bind(other);
}

bool PlanCache::outgrown(const std::unique_ptr<DeviceBuffer>& staging, std::size_t bytes) const {
  return !backend_->allocator().host_visible() && bytes <= max_staging_bytes && staged(staging, bytes) == nullptr;
}

void PlanCache::bind(ReadyPlan& ready) {
  bind_plan(*ready.plan, arena_->data(), ready.weights);
  if (backend_->allocator().host_visible()) return;  // there it reads the caller's tensor
  std::byte* const from = arena_->data() + ready.plan->staging;
  for (InputLoad& load : ready.loads) {
    std::byte* const to = arena_->data() + load.to.offset;
    if (load.conversion) load.conversion->bind({std::span(&from, 1), std::span(&to, 1), {}, nullptr});
  }
}

Recording* PlanCache::recording(ReadyPlan& plan, const Route& route) {
  for (ReadyPlan::Replay& replay : plan.replays) {
    if (replay.route != route) continue;
    replay.last_use = ++uses_;
    return replay.recording.get();
  }
  return nullptr;
}

void PlanCache::keep(ReadyPlan& plan, const Route& route, std::unique_ptr<Recording> recording) {
  std::size_t count = 0, place = 0;
  std::vector<ReadyPlan::Replay>* oldest = nullptr;  // the list that holds it, at `place`
  for (ReadyPlan& other : plans_) {
    for (std::size_t i = 0; i < other.replays.size(); ++i, ++count) {
      if (!oldest || other.replays[i].last_use < (*oldest)[place].last_use) oldest = &other.replays, place = i;
    }
  }
  if (count >= max_recordings) oldest->erase(oldest->begin() + static_cast<std::ptrdiff_t>(place));
  plan.replays.push_back({route, std::move(recording), ++uses_});
}

}  // namespace resnet
