#include "runtime/self_test.hpp"

#include <dlfcn.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"
#include "base/dtype.hpp"
#include "base/log.hpp"
#include "base/result_cache.hpp"
#include "resnet_engine/device.hpp"
#include "runtime/backend_run.hpp"
#include "runtime/device_choice.hpp"
#include "runtime/self_test_cases.hpp"

namespace resnet {
namespace {

/// Architectures on which `bench/gpu/run_gpu_checks.sh` has run and passed with these kernels. None yet.
constexpr std::array<int, 0> recorded_architectures{};
/// Executes the kernels' source on the host; the tests of the kernels run there each time.
constexpr std::string_view emulator = "Emulated GPU";

/// One network on one backend, its output.
class CaseRun {
 public:
  CaseRun(const SelfTestCase& test, Backend& backend, const PlanOptions& options)
      : test_(test),
        backend_(backend),
        plan_(make_plan(optimise(test.graph, PassOptions{}), test.input.n, test.input.h, test.input.w, backend,
                        options)) {}

  /// Whether every layer is the entry's: a wrong result is nobody else's.
  bool is_all_of(std::string_view implementation) const {
    return std::all_of(plan_->chosen.begin(), plan_->chosen.end(), [&](const ChosenStep& step) {
      return step.problem.nodes.empty() || step.implementation->name == implementation;
    });
  }

  std::vector<float> output() {
    std::vector<std::unique_ptr<DeviceBuffer>> weights;
    std::vector<const std::byte*> addresses;
    for (const WeightRequest& request : plan_->weights) {
      weights.push_back(packed(request));
      addresses.push_back(weights.back()->data());
    }
    const std::size_t size = plan_->arena.arena_bytes;
    const auto arena = backend_.allocator().allocate(size);
    bind_plan(*plan_, arena->data(), addresses);
    const std::vector<std::byte> nans(size, std::byte{0xFF});  // in every type: what nobody writes shows
    std::vector<float> result(static_cast<std::size_t>(plan_->output.desc.dims.elements()));
    BackendRun run(backend_, 1);
    backend_.copy_to_device(arena->data(), nans.data(), size);
    backend_.copy_to_device(arena->data() + plan_->input.offset,
                            reinterpret_cast<const std::byte*>(test_.values.data()),
                            test_.values.size() * sizeof(float));
    for (const auto& step : plan_->steps) step->run();
    backend_.copy_to_host(reinterpret_cast<std::byte*>(result.data()), arena->data() + plan_->output.offset,
                          result.size() * sizeof(float));
    run.finish();
    return result;
  }

 private:
  std::unique_ptr<DeviceBuffer> packed(const WeightRequest& request) const {
    std::vector<StoredTensor> infos(request.tensors.size());
    std::vector<TensorValues> values;
    for (std::size_t i = 0; i < infos.size(); ++i) {
      infos[i].name = request.tensors[i];
      values.push_back({&infos[i], test_.weights.find(request.tensors[i])->second});
    }
    AlignedBuffer host(request.bytes);
    request.pack(values, host.data());
    auto device = backend_.allocator().allocate(request.bytes);
    backend_.allocator().upload(device->data(), host.data(), request.bytes);
    return device;
  }

  const SelfTestCase& test_;
  Backend& backend_;
  std::unique_ptr<Plan> plan_;
};

const std::vector<float>& expected(std::size_t index) {
  static const std::vector<std::vector<float>> outputs = [] {
    const auto entry = std::find_if(backend_list().begin(), backend_list().end(),
                                    [](const BackendEntry& e) { return e.name == "reference"; });
    const auto reference = entry->create(0);
    std::vector<std::vector<float>> list;
    for (const SelfTestCase& test : self_test_cases()) list.push_back(CaseRun(test, *reference, {}).output());
    return list;
  }();
  return outputs[index];
}

/// How two outputs differ, or nothing. The sign of a zero is no difference.
std::string difference(const std::vector<float>& got, const std::vector<float>& wanted) {
  std::size_t count = 0, first = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (got[i] == wanted[i]) continue;
    if (count++ == 0) first = i;
  }
  if (count == 0) return {};
  return std::to_string(count) + " of " + std::to_string(wanted.size()) + " values are wrong: value " +
         std::to_string(first) + " is " + std::to_string(got[first]) + " instead of " + std::to_string(wanted[first]);
}

ValueDesc described(DType dtype, LayoutId layout) {
  ValueDesc desc;
  desc.dims = {1, 3, 5, 3};
  desc.dtype = dtype;
  desc.layout = layout;
  return desc;
}

/// out = in * scale + shift per channel: exact for bytes in every type, and different for each channel.
struct Affine {
  std::vector<float> scale{1, 0.5f, 0.25f}, shift{-128, -64, -32};
};

/// What comes back as float32 NHWC from bytes in NCHW that went through these forms one after the other, the first time
/// with `affine` where there is one.
std::vector<float> converted(Backend& backend, std::span<const std::uint8_t> bytes, std::span<const ValueDesc> forms,
                             const Affine* affine) {
  const Implementation& conversion = *backend.conversion();
  std::vector<std::unique_ptr<DeviceBuffer>> buffers;
  for (const ValueDesc& form : forms) buffers.push_back(backend.allocator().allocate(form.bytes()));
  std::vector<std::unique_ptr<Step>> steps;
  for (std::size_t i = 1; i < forms.size(); ++i) {
    StepProblem problem;
    problem.input_descs = {forms[i - 1]};
    problem.output_descs = {forms[i]};
    steps.push_back(affine && i == 1 ? backend.affine_conversion(forms[i - 1], forms[i], affine->scale, affine->shift)
                                     : conversion.prepare(problem, backend.device()));
    std::byte *const from = buffers[i - 1]->data(), *const to = buffers[i]->data();
    steps.back()->bind({std::span(&from, 1), std::span(&to, 1), {}, nullptr});
  }
  std::vector<float> result(bytes.size());
  const std::vector<std::byte> nans(result.size() * sizeof(float), std::byte{0xFF});
  BackendRun run(backend, 1);
  backend.copy_to_device(buffers.back()->data(), nans.data(), nans.size());
  backend.copy_to_device(buffers.front()->data(), reinterpret_cast<const std::byte*>(bytes.data()), bytes.size());
  for (const auto& step : steps) step->run();
  backend.copy_to_host(reinterpret_cast<std::byte*>(result.data()), buffers.back()->data(), nans.size());
  run.finish();
  return result;
}

/// The backend's changes of type and layout, through every type of the device and back.
void test_conversions(Backend& backend, SelfTestResult& result) {
  const ValueDesc first = described(DType::u8, LayoutId::nchw), last = described(DType::f32, LayoutId::nhwc);
  std::vector<std::uint8_t> bytes(first.bytes());
  std::vector<float> wanted(bytes.size()), wanted_affine(bytes.size());
  const Affine affine;
  const auto positions = static_cast<std::size_t>(first.dims.h * first.dims.w);
  const auto channels = static_cast<std::size_t>(first.dims.c);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(i * 37 % 251);
    const std::size_t c = i / positions, place = i % positions * channels + c;
    wanted[place] = bytes[i];
    wanted_affine[place] = static_cast<float>(bytes[i]) * affine.scale[c] + affine.shift[c];
  }
  for (const Precision precision : {Precision::fp32, Precision::fp16, Precision::bf16}) {
    if (!backend.supports_precision(precision)) continue;
    ++result.cases;
    const DType type = value_dtype(precision);
    const ValueDesc stored = described(type, LayoutId::nhwc);
    const ValueDesc forms[] = {first, described(DType::f32, LayoutId::nchw), last, stored, last};
    const ValueDesc affine_forms[] = {first, stored, last};
    std::string failure;
    try {
      failure =
          difference(converted(backend, bytes, std::span(forms).first(type == DType::f32 ? 3 : 5), nullptr), wanted);
      if (failure.empty()) {
        failure =
            difference(converted(backend, bytes, std::span(affine_forms).first(type == DType::f32 ? 2 : 3), &affine),
                       wanted_affine);
      }
    } catch (const Error& error) {
      failure = error.what();
      result.lasting = false;
    }
    if (failure.empty()) continue;
    result.passed = false;
    result.failure = "bytes to " + std::string(to_string(type)) + ": " + failure;
    return;
  }
}

/// What the executable or library that holds this code is, without reading it; empty where that cannot be said.
std::string binary_text() {
  Dl_info info{};
  struct stat status {};
  if (dladdr(&recorded_architectures, &info) == 0 || info.dli_fname == nullptr ||
      ::stat(info.dli_fname, &status) != 0) {
    return {};
  }
  return std::to_string(status.st_size) + '.' + std::to_string(status.st_mtim.tv_sec) + '.' +
         std::to_string(status.st_mtim.tv_nsec);
}

/// Under which a result is kept; empty where it cannot be.
std::string cache_key(const DeviceInfo& device, std::string_view implementation) {
  const std::string binary = binary_text();
  if (binary.empty()) return {};
  return "self-test " + std::string(implementation) + ", binary " RESNET_ENGINE_VERSION " " + binary + ", " +
         device.name + " sm_" + std::to_string(device.sm) + ", " + device_software(device);
}

}  // namespace

bool has_self_test(const Backend& backend, const Implementation& implementation) {
  return backend.device().kind == DeviceKind::cuda && !implementation.library;
}

bool has_hardware_record(const DeviceInfo& device) {
  return device.name == emulator || std::find(recorded_architectures.begin(), recorded_architectures.end(),
                                              device.sm) != recorded_architectures.end();
}

SelfTestResult self_test(Backend& backend, std::string_view implementation) {
  SelfTestResult result;
  if (implementation == backend.conversion()->name) test_conversions(backend, result);
  PlanOptions options;
  options.forced.emplace(implementation);
  for (const Implementation* entry : backend.implementations()) {
    if (entry->library) options.refused.emplace(entry->name, "a kernel of ours is tested");
  }
  const auto& cases = self_test_cases();
  for (std::size_t c = 0; result.passed && c < cases.size(); ++c) {
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::fp16, Precision::bf16}) {
      if (!backend.supports_precision(precision)) continue;
      options.precision = precision;
      CaseRun run(cases[c], backend, options);
      if (!run.is_all_of(implementation)) continue;
      ++result.cases;
      std::string failure;
      try {
        failure = difference(run.output(), expected(c));
      } catch (const Error& error) {
        failure = error.what();
        result.lasting = false;
      }
      if (failure.empty()) continue;
      result.passed = false;
      result.failure = cases[c].name + ", " + std::string(to_string(precision)) + ": " + failure;
      return result;
    }
  }
  return result;
}

void keep_self_test(const DeviceInfo& device, std::string_view implementation, const SelfTestResult& result) {
  const std::string key = cache_key(device, implementation);
  if (key.empty() || !result.lasting) return;
  result_cache().put(key, Json::Object{{"passed", result.passed}, {"failure", result.failure}});
}

std::vector<SelfTestReport> run_self_tests(const std::string& device) {
  const auto backend = choose_device(device, Precision::fp32).backend;
  std::vector<SelfTestReport> reports;
  const auto listed = backend->implementations();
  std::vector<const Implementation*> all(listed.begin(), listed.end());
  // Where the kernel that converts serves layers, too, it is listed.
  const auto same_name = [&](const Implementation* entry) { return entry->name == backend->conversion()->name; };
  if (std::none_of(all.begin(), all.end(), same_name)) all.push_back(backend->conversion());
  for (const Implementation* entry : all) {
    if (!has_self_test(*backend, *entry)) continue;
    const SelfTestResult result = self_test(*backend, entry->name);
    keep_self_test(backend->device(), entry->name, result);
    reports.push_back({std::string(entry->name), result.passed, result.cases, result.failure});
  }
  return reports;
}

SelfTests::SelfTests(std::shared_ptr<Backend> backend, SelfTest mode)
    : backend_(std::move(backend)),
      needed_(mode == SelfTest::always || (mode == SelfTest::unrecorded && !has_hardware_record(backend_->device()))) {}

bool SelfTests::check(const Plan& plan, std::map<std::string, std::string, std::less<>>& refused) {
  if (!needed_) return false;
  bool again = false;
  std::vector<const Implementation*> used{backend_->conversion()};  // tensors come and go through it
  for (const ChosenStep& step : plan.chosen) used.push_back(step.implementation);
  for (const Implementation* implementation : used) {
    if (implementation == nullptr) continue;
    const std::string name(implementation->name);
    if (results_.contains(name) || !has_self_test(*backend_, *implementation)) continue;
    const SelfTestResult result = kept_or_new(name);
    const std::string& device = backend_->device().name;
    results_[name] = result.passed ? "passed" : result.failure;
    if (result.passed) continue;
    const std::string reason = "failed its self-test on " + device + " (" + result.failure + ')';
    log(LogLevel::warning, "the kernel " + name + ' ' + reason + "; it is not used. Please report this");
    if (name == backend_->conversion()->name) {
      fail(ErrorCode::device_failed, "the kernel " + name + ' ' + reason, "device " + device,
           "use --device cpu; nothing else changes layout and precision there");
    }
    refused.emplace(name, reason);
    again = true;
  }
  return again;
}

SelfTestResult SelfTests::kept_or_new(const std::string& implementation) {
  const std::string key = cache_key(backend_->device(), implementation);
  if (const auto kept = key.empty() ? std::nullopt : result_cache().get(key)) {
    const Json *passed = kept->find("passed"), *failure = kept->find("failure");
    if (passed && passed->is_bool() && failure && failure->is_string())
      return {passed->as_bool(), 0, failure->as_string()};
  }
  const SelfTestResult result = self_test(*backend_, implementation);
  keep_self_test(backend_->device(), implementation, result);
  return result;
}

}  // namespace resnet
