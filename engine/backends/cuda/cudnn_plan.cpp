// The one file that sees cuDNN and cudnn-frontend.
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include "backends/cuda/cudnn_plan.hpp"

#include <cudnn_frontend.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string_view>

#include "backends/cuda/libraries.hpp"
#include "base/check.hpp"

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // cudnn-frontend asks for it: where it finds cuDNN's functions
}

namespace resnet::cuda {
namespace {

namespace fe = cudnn_frontend;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

/// Uids of the tensors that have memory.
enum Uid : std::int64_t { x_uid = 1, w_uid, scale_uid, shift_uid, residual_uid, y_uid };

const char* const next_step = "set RESNET_ENGINE_CUDNN=off to run without cuDNN";

/// cuDNN's messages go on for pages.
[[noreturn]] void refuse(ErrorCode code, std::string_view doing, std::string_view why) {
  why = why.substr(0, std::min<std::size_t>(why.find('\n'), 300));
  fail(code,
       "cuDNN " + library_version_text(cudnn_library().version) + ": " + std::string(doing) +
           " failed: " + std::string(why),
       {}, next_step);
}

/// cudnn-frontend caches each function's address at its first call, a missing one too: the library comes first.
void open_cudnn() {
  const CudnnLibrary& library = cudnn_library();
  if (!library) fail(ErrorCode::unsupported, library.missing);
  static const bool ready = [&] {
    fe::cudnn_dlhandle = library.handle;
    return true;
  }();
  static_cast<void>(ready);
}

/// cudnn-frontend returns most errors and throws some.
template <class Call>
void checked(ErrorCode code, std::string_view doing, const Call& call) {
  std::string why;
  try {
    fe::error_t status = call();
    if (status.is_good()) return;
    why = status.get_message();
  } catch (const std::exception& error) {
    why = error.what();
  }
  refuse(code, doing, why);
}

/// The same for calls that return cuDNN's own status.
template <class Call>
void checked_status(ErrorCode code, std::string_view doing, const Call& call) {
  checked(code, doing, [&]() -> fe::error_t {
    const cudnnStatus_t status = call();
    if (status == CUDNN_STATUS_SUCCESS) return {};
    return {fe::error_code_t::CUDNN_BACKEND_API_FAILED,
            fe::detail::get_error_string(status) + (", " + fe::detail::get_last_error_string_())};
  });
}

fe::DataType_t data_type(DType dtype) {
  if (dtype == DType::f16) return fe::DataType_t::HALF;
  return dtype == DType::bf16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::FLOAT;
}

/// The frontend's graph, with its list of engines in sight.
class Graph final : public fe::graph::Graph {
 public:
  fe::graph::Execution_plan_list& engines() { return plans; }
};

/// A tensor of N images of H x W with C channels in memory order N, H, W, C; dims stand in cuDNN's order.
fe::graph::Tensor_attributes image(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, DType dtype,
                                   Uid uid) {
  fe::graph::Tensor_attributes tensor;
  tensor.set_dim({n, c, h, w}).set_stride({h * w * c, 1, w * c, c}).set_data_type(data_type(dtype)).set_uid(uid);
  return tensor;
}

Tensor pointwise(Graph& graph, fe::PointwiseMode_t mode, const Tensor& a, const Tensor& b = nullptr) {
  fe::graph::Pointwise_attributes attributes;
  attributes.set_mode(mode).set_compute_data_type(fe::DataType_t::FLOAT);
  return b ? graph.pointwise(a, b, attributes) : graph.pointwise(a, attributes);
}

Tensor add(Graph& graph, const Tensor& a, const Tensor& b) { return pointwise(graph, fe::PointwiseMode_t::ADD, a, b); }

/// Order and types decide which engines match: see CudnnForm.
void describe(Graph& graph, const ConvProblem& p, CudnnForm form) {
  graph.set_io_data_type(data_type(p.in))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  fe::graph::Conv_fprop_attributes convolution;
  convolution.set_pre_padding({p.pad_top, p.pad_left})
      .set_post_padding({p.pad_bottom, p.pad_right})
      .set_stride({p.stride_h, p.stride_w})
      .set_dilation({p.dilation_h, p.dilation_w})
      .set_compute_data_type(fe::DataType_t::FLOAT);
  Tensor value = graph.conv_fprop(graph.tensor(image(p.N, p.C, p.H, p.W, p.in, x_uid)),
                                  graph.tensor(image(p.K, p.C / p.groups, p.R, p.S, p.in, w_uid)), convolution);
  const auto residual = [&] {
    if (p.epilogue.residual) value = add(graph, value, graph.tensor(image(p.N, p.K, p.P, p.Q, p.out, residual_uid)));
  };
  const auto channels = [&](DType dtype, Uid uid) { return graph.tensor(image(1, p.K, 1, 1, dtype, uid)); };
  if (form == CudnnForm::folded) {
    residual();
    if (cudnn_reads_shift(p, form)) value = add(graph, value, channels(p.in, shift_uid));
  } else {
    if (p.epilogue.scale) value = pointwise(graph, fe::PointwiseMode_t::MUL, value, channels(DType::f32, scale_uid));
    if (cudnn_reads_shift(p, form)) value = add(graph, value, channels(DType::f32, shift_uid));
    residual();
  }
  if (p.epilogue.activation.kind == ActivationKind::relu)
    value = pointwise(graph, fe::PointwiseMode_t::RELU_FWD, value);
  const auto y = image(p.N, p.K, p.P, p.Q, p.out, y_uid);
  value->set_dim(y.get_dim()).set_stride(y.get_stride()).set_data_type(y.get_data_type()).set_uid(y_uid);
  value->set_output(true);
}

void filter(Graph& graph, const ConvProblem& problem, CudnnForm form) {
  using Note = fe::NumericalNote_t;
  std::vector<Note> unwanted{Note::NONDETERMINISTIC,  Note::FFT,
                             Note::WINOGRAD,          Note::WINOGRAD_TILE_4x4,
                             Note::WINOGRAD_TILE_6x6, Note::WINOGRAD_TILE_13x13};
  if (problem.precision == Precision::fp32)
    unwanted.insert(unwanted.end(), {Note::TENSOR_CORE, Note::DOWN_CONVERT_INPUTS});
  graph.deselect_numeric_notes(unwanted);
  using Behavior = fe::BehaviorNote_t;
  std::vector<Behavior> misfits{Behavior::REQUIRES_FILTER_INT8x32_REORDER, Behavior::REQUIRES_BIAS_INT8x32_REORDER};
  if (form == CudnnForm::folded) misfits.push_back(Behavior::RUNTIME_COMPILATION);
  graph.deselect_behavior_notes(misfits);
  graph.deselect_workspace_greater_than(cudnn_workspace_cap);
}

template <class List, class Note>
bool holds(const List& notes, Note note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

}  // namespace

struct CudnnConv::Impl {
  Graph graph;
  std::vector<CudnnChoice> choices;
  std::vector<std::int64_t> indices;  ///< of the choices, among all configurations that cuDNN listed
  std::shared_ptr<fe::ExecutionPlan> plan;
  std::unique_ptr<fe::detail::backend_descriptor> operands;

  void list_choices() {
    auto& engines = graph.engines();
    for (std::int64_t index = 0; index < graph.get_execution_plan_count(); ++index) {
      if (engines.check_support_at_index(index).is_bad()) continue;
      const auto place = static_cast<std::size_t>(index);
      CudnnChoice choice;
      if (engines.get_name_at_index(index, choice.name).is_bad()) continue;
      choice.tensor_cores = holds(engines.numeric_notes[place], fe::NumericalNote_t::TENSOR_CORE);
      choice.precompiled = !holds(engines.behavior_notes[place], fe::BehaviorNote_t::RUNTIME_COMPILATION);
      choices.push_back(std::move(choice));
      indices.push_back(index);
    }
  }
};

CudnnConv::CudnnConv(const ConvProblem& problem, CudnnForm form, const CudnnDevice& device)
    : impl_(std::make_unique<Impl>()) {
  if (const Support support = cudnn_can_express(problem); !support)
    fail(ErrorCode::unsupported, "cuDNN cannot express this convolution: " + support.reason, {}, next_step);
  open_cudnn();
  Graph& graph = impl_->graph;
  const auto handle = static_cast<cudnnHandle_t>(device.handle);
  const auto step = [](std::string_view doing, const auto& call) { checked(ErrorCode::unsupported, doing, call); };
  step("describing a convolution", [&] {
    // The owner destroys CUDA graphs before plans, and without this the frontend looks for a CUDA runtime to load.
    graph.set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);
    graph.set_sm_version(device.sm);
    describe(graph, problem, form);
    return graph.validate();
  });
  if (!handle) {
    step("reading the device's properties", [&] {
      auto properties = std::make_shared<fe::DeviceProperties>();
      const fe::error_t status = properties->deserialize({device.properties.begin(), device.properties.end()});
      graph.set_device_properties(properties);
      return status;
    });
  }
  step("checking a convolution", [&] { return graph.build_operation_graph(handle); });
  step("asking the heuristics", [&] {
    return graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
  });
  step("listing engines", [&] {
    filter(graph, problem, form);
    impl_->list_choices();
    return fe::error_t{};
  });
  if (impl_->choices.empty()) refuse(ErrorCode::unsupported, "planning", "no engine accepts the convolution");
}

CudnnConv::~CudnnConv() = default;

const std::vector<CudnnChoice>& CudnnConv::choices() const { return impl_->choices; }

void CudnnConv::build(std::size_t choice) {
  auto& engines = impl_->graph.engines();
  const std::int64_t index = impl_->indices.at(choice);
  checked(ErrorCode::unsupported, "building " + impl_->choices[choice].name,
          [&] { return engines.build_plan_at_index(index); });
  impl_->plan = engines.execution_plans[static_cast<std::size_t>(index)];
  impl_->operands.reset();
}

std::size_t CudnnConv::workspace_bytes() const {
  ensure(impl_->plan != nullptr, "a cuDNN plan is built before its workspace is asked for");
  return static_cast<std::size_t>(impl_->plan->getWorkspaceSize());
}

void CudnnConv::bind(const CudnnOperands& operands) {
  ensure(impl_->plan != nullptr, "a cuDNN plan is built before it is bound");
  const std::array<std::pair<Uid, const void*>, 6> all{{{x_uid, operands.x},
                                                        {w_uid, operands.w},
                                                        {scale_uid, operands.scale},
                                                        {shift_uid, operands.shift},
                                                        {residual_uid, operands.residual},
                                                        {y_uid, operands.y}}};
  std::vector<std::int64_t> uids;
  std::vector<void*> pointers;
  for (const auto& [uid, pointer] : all) {
    if (!pointer) continue;
    uids.push_back(uid);
    pointers.push_back(const_cast<void*>(pointer));
  }
  auto pack = std::make_unique<fe::detail::backend_descriptor>(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  checked(ErrorCode::device_failed, "taking addresses",
          [&] { return fe::detail::create_variant_pack(*pack, pointers, uids, operands.workspace); });
  impl_->operands = std::move(pack);
}

void CudnnConv::run(void* handle) {
  checked_status(ErrorCode::device_failed, "running a convolution", [&] {
    return fe::detail::execute(static_cast<cudnnHandle_t>(handle), impl_->plan->get_raw_desc(),
                               impl_->operands->get_ptr());
  });
}

CudnnHandle::CudnnHandle() {
  open_cudnn();
  cudnnHandle_t handle = nullptr;
  checked_status(ErrorCode::unsupported, "creating a handle", [&] { return fe::detail::create_handle(&handle); });
  handle_ = handle;
}

CudnnHandle::~CudnnHandle() { static_cast<void>(fe::detail::destroy_handle(static_cast<cudnnHandle_t>(handle_))); }

void CudnnHandle::set_stream(void* stream) {
  if (stream == stream_) return;
  checked_status(ErrorCode::device_failed, "choosing a stream", [&] {
    return fe::detail::set_stream(static_cast<cudnnHandle_t>(handle_), static_cast<cudaStream_t>(stream));
  });
  stream_ = stream;
}

Support cudnn_built_in() { return Support::yes(); }

}  // namespace resnet::cuda
