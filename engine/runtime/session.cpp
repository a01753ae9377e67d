#include "resnet_engine/session.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <utility>

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/names.hpp"
#include "plan/times_table.hpp"
#include "runtime/backend_run.hpp"
#include "runtime/device_choice.hpp"
#include "runtime/device_run.hpp"
#include "runtime/plan_cache.hpp"
#include "runtime/session_plan.hpp"

namespace resnet {
namespace {

/// CPU threads of all runs that are under way in this process.
std::atomic<int> running_threads{0};

/// Answers use from a second thread with an error.
class Exclusive {
 public:
  explicit Exclusive(std::atomic<bool>& busy) : busy_(busy) {
    if (busy_.exchange(true, std::memory_order_acquire)) {
      fail(ErrorCode::busy, "this session is in use by another thread", "Session", "make one Session per thread");
    }
  }
  ~Exclusive() { busy_.store(false, std::memory_order_release); }
  Exclusive(const Exclusive&) = delete;
  Exclusive& operator=(const Exclusive&) = delete;

 private:
  std::atomic<bool>& busy_;
};

/// Books the threads of one run.
class BookedThreads {
 public:
  explicit BookedThreads(int threads) : threads_(threads), total_(running_threads.fetch_add(threads) + threads) {}
  ~BookedThreads() { running_threads.fetch_sub(threads_); }
  BookedThreads(const BookedThreads&) = delete;
  BookedThreads& operator=(const BookedThreads&) = delete;
  int total() const { return total_; }

 private:
  int threads_, total_;
};

std::byte* bytes(const void* data) { return static_cast<std::byte*>(const_cast<void*>(data)); }

Json to_json(const std::vector<std::string>& texts) {
  Json array = Json::array();
  for (const auto& text : texts) array.push(text);
  return array;
}

/// Layers that a step computes, in order.
std::vector<std::string> step_layers(const ChosenStep& step) {
  std::vector<std::string> layers;
  for (const NodeId id : step.problem.nodes) {
    const Node& node = step.problem.graph->node(id);
    if (node.layers.empty()) layers.push_back(node.name);
    layers.insert(layers.end(), node.layers.begin(), node.layers.end());
  }
  return layers;
}

}  // namespace

class __attribute__((visibility("hidden"))) Session::Impl {  // an exported class exports what is nested in it
 public:
  Impl(const Model& model, SessionOptions options)
      : model_(model.state()),
        options_(validate(std::move(options))),
        choice_(choose_device(options_.device, options_.precision)),
        threads_(options_.threads > 0 ? options_.threads : choice_.backend->device().cores),
        times_(measured_times(choice_.backend->device(), embedded_times(), options_.times_file)),
        plans_(model_, choice_.backend, plan_options(), options_.max_plans, options_.self_test,
               options_.normalize_uint8) {}

  void prepare(std::int64_t n, std::int64_t h, std::int64_t w) {
    const Exclusive exclusive(busy_);
    ReadyPlan& plan = ready(n, h, w);
    if (host_visible() || plans_.recording(plan, Route{}) != nullptr) return;
    const std::int64_t channels = model_->graph().input_dims().c;
    const Dims& out = plan.plan->output.desc.dims;
    const std::vector<float> x(static_cast<std::size_t>(n * h * w * channels));
    std::vector<float> y(static_cast<std::size_t>(out.elements()));
    run_on_device(*choice_.backend, plans_, plan, threads_, {x.data(), n, h, w, channels},
                  {y.data(), out.n, out.h, out.w, out.c}, nullptr);
    ran_ = false;
  }

  void run(const ConstTensorView& input, const TensorView& output) {
    const Exclusive exclusive(busy_);
    run_alone(input, output);
  }

  void enqueue(const ConstTensorView& input, const TensorView& output, void* stream) {
    const Exclusive exclusive(busy_);
    if (host_visible()) {
      fail(ErrorCode::unsupported, "the device " + choice_.device + " has no streams", "Session::enqueue",
           "call run()");
    }
    for (const MemoryKind memory : {input.memory, output.memory}) {
      if (memory == MemoryKind::device) continue;
      fail(ErrorCode::invalid_argument, "a tensor lies in host memory", "Session::enqueue",
           "copy it on the stream, or call run()");
    }
    const CallerStream callers{stream};
    run_on_device(*choice_.backend, plans_, checked(input, output), threads_, input, output, &callers);
    ran_ = true;
  }

  RunTimes run_timed(const ConstTensorView& input, const TensorView& output) {
    const Exclusive exclusive(busy_);
    choice_.backend->time_runs(true);
    const auto begin = std::chrono::steady_clock::now();
    const auto us_until = [&](std::chrono::steady_clock::time_point end) {
      return std::chrono::duration<double, std::micro>(end - begin).count();
    };
    try {
      run_alone(input, output);
    } catch (...) {
      choice_.backend->time_runs(false);
      throw;
    }
    RunTimes times;
    times.total_us = us_until(std::chrono::steady_clock::now());
    if (const auto timing = choice_.backend->last_timing()) {
      times.host_us = us_until(timing->wait_began);
      times.device_us = timing->device_us;
    }
    choice_.backend->time_runs(false);
    return times;
  }

  ConstTensorView retained(const std::string& name) {
    const Exclusive exclusive(busy_);
    const ReadyPlan* plan = plans_.current();
    if (plan == nullptr || !ran_)
      fail(ErrorCode::invalid_argument, "nothing has run yet", "Session::retained", "call run() first");
    const auto found = plan->plan->retained.find(name);
    if (found == plan->plan->retained.end()) refuse_retained(*plan, name);
    const Placement& place = found->second;
    ValueDesc plain;
    plain.dims = place.desc.dims;
    std::byte* data = plans_.arena() + place.offset;
    const bool on_host = host_visible();
    if (place.desc != plain || !on_host) {
      AlignedBuffer& copy = copies_[name];
      if (copy.size() < plain.bytes()) copy = AlignedBuffer(plain.bytes());
      std::unique_ptr<Step> conversion;
      std::unique_ptr<DeviceBuffer> converted;
      if (place.desc != plain) {
        // Kept in the backend's own layout or precision.
        conversion = make_conversion(*choice_.backend, place.desc, plain, threads_);
        ensure(conversion != nullptr, "a backend converts its own values to float32 NHWC");
        if (!on_host) converted = choice_.backend->allocator().allocate(plain.bytes());
      }
      BackendRun running(*choice_.backend, threads_);
      if (conversion) move(*conversion, data, on_host ? copy.data() : converted->data());
      if (!on_host) choice_.backend->copy_to_host(copy.data(), converted ? converted->data() : data, plain.bytes());
      running.finish();
      data = copy.data();
    }
    const Dims& dims = plain.dims;
    return {data, dims.n, dims.h, dims.w, dims.c, DType::f32, Layout::nhwc, MemoryKind::host};
  }

  std::vector<std::string> retained_names() {
    const Exclusive exclusive(busy_);
    std::vector<std::string> names;
    if (const ReadyPlan* plan = plans_.current()) {
      for (const auto& [name, place] : plan->plan->retained) names.push_back(name);
    }
    return names;
  }

  std::string describe_json() {
    const Exclusive exclusive(busy_);
    ReadyPlan& plan = current_or_default();
    Json json = session_plan_json(*model_, *plan.plan, *choice_.backend,
                                  {choice_.device, choice_.reason, options_.precision, threads_});
    Json self_tests = Json::object();
    for (const auto& [name, result] : plans_.self_tests().results()) self_tests.set(name, result);
    json.set("self_tests", std::move(self_tests));
    Json memory = json.at("memory");
    const WeightStore::Stats stats = model_->weights().stats();
    memory.set("weight_bytes", stats.bytes).set("weight_buffers", stats.buffers).set("weight_packs", stats.packs);
    json.set("memory", std::move(memory));
    return json.dump(2);
  }

  std::string profile(int iterations) {
    if (iterations < 1) fail(ErrorCode::invalid_argument, "iterations must be at least 1", "Session::profile");
    const Exclusive exclusive(busy_);
    ReadyPlan& plan = current_or_default();
    ran_ = false;  // what run() left is overwritten
    const std::size_t count = plan.plan->steps.size();
    std::vector<std::vector<double>> times(count);
    std::vector<double> totals;
    // Ordinary numbers (0.75 in every type): what earlier steps left there could be slow denormals.
    const std::vector<std::byte> input(plan.plan->input.desc.bytes(), std::byte{0x3f});
    const BookedThreads booked(threads_);
    BackendRun running(*choice_.backend, threads_);
    for (int i = 0; i < iterations + 1; ++i) {
      choice_.backend->copy_to_device(plans_.arena() + plan.plan->input.offset, input.data(), input.size());
      const std::vector<double> us = choice_.backend->time_steps(plan.plan->steps);
      if (i == 0) continue;  // the first pass warms the caches
      for (std::size_t s = 0; s < count; ++s) times[s].push_back(us[s]);
      totals.push_back(std::accumulate(us.begin(), us.end(), 0.0));
    }
    running.finish();
    Json steps = Json::array();
    for (std::size_t s = 0; s < count; ++s) {
      const ChosenStep& chosen = plan.plan->chosen[s];
      std::int64_t macs = 0;
      for (const NodeId id : chosen.problem.nodes) macs += node_macs(plan.plan->graph, id, plan.plan->shapes);
      const double us = median(times[s]);
      steps.push(Json::Object{{"layers", to_json(step_layers(chosen))},
                              {"implementation", chosen.implementation->name},
                              {"detail", plan.plan->steps[s]->detail()},
                              {"problem", problem_text(chosen.problem)},
                              {"median_us", us},
                              {"min_us", *std::min_element(times[s].begin(), times[s].end())},
                              {"max_us", *std::max_element(times[s].begin(), times[s].end())},
                              {"macs", macs},
                              {"gflops", us > 0 ? 2e-3 * static_cast<double>(macs) / us : 0.0}});
    }
    return Json(Json::Object{{"iterations", iterations}, {"total_us", median(totals)}, {"steps", std::move(steps)}})
        .dump(2);
  }

  const std::string& device() const { return choice_.device; }
  const std::string& device_reason() const { return choice_.reason; }

 private:
  static SessionOptions validate(SessionOptions options) {
    if (options.threads < 0)
      fail(ErrorCode::invalid_argument, "threads must not be negative", "SessionOptions::threads");
    if (options.max_plans < 1)
      fail(ErrorCode::invalid_argument, "max_plans must be at least 1", "SessionOptions::max_plans");
    return options;
  }

  bool host_visible() const { return choice_.backend->allocator().host_visible(); }

  void run_alone(const ConstTensorView& input, const TensorView& output) {
    ReadyPlan& plan = checked(input, output);
    const BookedThreads booked(threads_);
    warn_when_oversubscribed(booked.total());
    if (host_visible()) {
      const InputLoad& load = plan.loads[input_kind(input.dtype, input.layout)];
      BackendRun running(*choice_.backend, threads_);
      move(*load.conversion, bytes(input.data), plans_.arena() + load.to.offset);
      for (std::size_t s = load.first_step; s < plan.plan->steps.size(); ++s) plan.plan->steps[s]->run();
      move(*plan.output_step, plans_.arena() + plan.plan->output.offset, bytes(output.data));
      running.finish();
    } else {
      run_on_device(*choice_.backend, plans_, plan, threads_, input, output, nullptr);
    }
    ran_ = true;
  }

  /// The plan of a run, with tensors that fit it.
  ReadyPlan& checked(const ConstTensorView& input, const TensorView& output) {
    check_input(input);
    ReadyPlan& plan = ready(input.n, input.h, input.w);
    check_output(output, plan);
    if (plan.loads[input_kind(input.dtype, input.layout)].conversion == nullptr) {
      fail(ErrorCode::unsupported, "this device does not take that input type and layout", "Session::run, input");
    }
    return plan;
  }

  static double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }

  static void move(Step& conversion, std::byte* from, std::byte* to) {
    conversion.bind({std::span(&from, 1), std::span(&to, 1), {}, nullptr});
    conversion.run();
  }

  PlanOptions plan_options() const {
    PlanOptions plan = session_plan_options(*model_, options_, *choice_.backend, threads_);
    plan.measured = times_.get();
    plan.stage_input = !host_visible();
    return plan;
  }

  [[noreturn]] void refuse_retained(const ReadyPlan& plan, const std::string& name) const {
    const auto absorbed = plan.plan->absorbed.find(name);
    if (absorbed != plan.plan->absorbed.end() && plan.plan->retained.contains(absorbed->second)) {
      fail(ErrorCode::invalid_argument, "layer \"" + name + "\" was fused", "Session::retained",
           "its step's value is kept as \"" + absorbed->second + "\"; Retain::names stops fusion at a layer");
    }
    std::vector<std::string> names;
    for (const auto& [kept, place] : plan.plan->retained) names.push_back(kept);
    if (names.empty()) {
      fail(ErrorCode::invalid_argument, "no value was retained", "Session::retained", "set SessionOptions::retain");
    }
    fail(ErrorCode::invalid_argument, "no retained value is called \"" + name + '"', "Session::retained",
         "the nearest name is \"" + nearest_name(name, names) + '"');
  }

  ReadyPlan& ready(std::int64_t n, std::int64_t h, std::int64_t w) {
    if (n < 1 || h < 1 || w < 1) {
      fail(ErrorCode::invalid_argument,
           "N, H and W must be at least 1, are " + std::to_string(n) + ", " + std::to_string(h) + ", " +
               std::to_string(w),
           "Session");
    }
    ReadyPlan* const before = plans_.current();
    ReadyPlan& plan = plans_.get(n, h, w);
    if (&plan != before) ran_ = false;
    return plan;
  }

  ReadyPlan& current_or_default() {
    if (ReadyPlan* plan = plans_.current()) return *plan;
    const Dims dims = model_->graph().input_dims();
    return ready(1, dims.h, dims.w);
  }

  void check_input(const ConstTensorView& input) const {
    if (input.data == nullptr) fail(ErrorCode::invalid_argument, "data is null", "Session::run, input");
    check_host(input.memory, "Session::run, input");
    const std::int64_t channels = model_->graph().input_dims().c;
    if (input.c != channels) {
      fail(ErrorCode::invalid_argument,
           "the network takes " + std::to_string(channels) + " channels, the tensor has " + std::to_string(input.c),
           "Session::run, input", "check the layout and the colour mode");
    }
  }

  void check_output(const TensorView& output, const ReadyPlan& plan) const {
    if (output.data == nullptr) fail(ErrorCode::invalid_argument, "data is null", "Session::run, output");
    check_host(output.memory, "Session::run, output");
    const Dims& dims = plan.plan->output.desc.dims;
    if (output.n != dims.n || output.h * output.w * output.c != dims.h * dims.w * dims.c) {
      fail(ErrorCode::invalid_argument,
           "the network puts out " + to_string(dims) + ", the tensor is " +
               to_string(Dims{output.n, output.h, output.w, output.c}),
           "Session::run, output");
    }
    if (output.dtype != DType::f32) {
      fail(ErrorCode::invalid_argument, "must be float32, is " + std::string(to_string(output.dtype)),
           "Session::run, output");
    }
    if (output.layout != Layout::nhwc && output.h * output.w > 1) {
      fail(ErrorCode::invalid_argument, "a spatial output is written as NHWC", "Session::run, output");
    }
  }

  void check_host(MemoryKind memory, const char* where) const {
    if (memory != MemoryKind::host && host_visible()) {
      fail(ErrorCode::invalid_argument, "device memory given to a host device", where);
    }
  }

  void warn_when_oversubscribed(int total) {
    if (choice_.backend->device().kind != DeviceKind::cpu) return;
    const int cores = choice_.backend->device().cores;
    if (warned_ || total <= cores || total == threads_) return;
    warned_ = true;
    log(LogLevel::warning, "sessions running at once use " + std::to_string(total) + " threads on " +
                               std::to_string(cores) + " cores; set SessionOptions::threads so that the sum fits");
  }

  std::shared_ptr<const detail::ModelState> model_;
  SessionOptions options_;
  DeviceChoice choice_;
  int threads_;
  std::shared_ptr<const MeasuredTimes> times_;  ///< or null
  PlanCache plans_;
  std::map<std::string, AlignedBuffer> copies_;  ///< of retained values that the backend keeps in another form
  std::atomic<bool> busy_{false};
  bool ran_ = false;
  bool warned_ = false;
};

namespace {

template <class Impl>
Impl& require(const std::unique_ptr<Impl>& impl) {
  if (!impl) fail(ErrorCode::invalid_argument, "this object was moved from", "Session");
  return *impl;
}

}  // namespace

Session::Session(const Model& model, SessionOptions options)
    : impl_(std::make_unique<Impl>(model, std::move(options))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::prepare(std::int64_t n, std::int64_t h, std::int64_t w) { require(impl_).prepare(n, h, w); }
void Session::run(const ConstTensorView& input, const TensorView& output) { require(impl_).run(input, output); }
void Session::enqueue(const ConstTensorView& input, const TensorView& output, void* stream) {
  require(impl_).enqueue(input, output, stream);
}
Session::RunTimes Session::run_timed(const ConstTensorView& input, const TensorView& output) {
  return require(impl_).run_timed(input, output);
}
ConstTensorView Session::retained(const std::string& name) const { return require(impl_).retained(name); }
std::vector<std::string> Session::retained_names() const { return require(impl_).retained_names(); }
const std::string& Session::device() const { return require(impl_).device(); }
const std::string& Session::device_reason() const { return require(impl_).device_reason(); }
std::string Session::describe_json() const { return require(impl_).describe_json(); }
std::string Session::profile(int iterations) { return require(impl_).profile(iterations); }

}  // namespace resnet
