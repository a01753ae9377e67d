// In the place of cudnn_plan.cpp where the headers of cuDNN or cudnn-frontend were missing, and on the emulator.
#include "backends/cuda/cudnn_plan.hpp"
#include "base/check.hpp"

namespace resnet::cuda {
namespace {

[[noreturn]] void absent() { fail(ErrorCode::internal, "cuDNN was chosen: " + cudnn_built_in().reason); }

}  // namespace

struct CudnnConv::Impl {};

Support cudnn_built_in() {
  return Support::no(
      "this build has no cuDNN graphs: it was configured without the headers of cuDNN or cudnn-frontend");
}

CudnnConv::CudnnConv(const ConvProblem&, CudnnForm, const CudnnDevice&) { absent(); }
CudnnConv::~CudnnConv() = default;
const std::vector<CudnnChoice>& CudnnConv::choices() const { absent(); }
void CudnnConv::build(std::size_t) { absent(); }
std::size_t CudnnConv::workspace_bytes() const { absent(); }
void CudnnConv::bind(const CudnnOperands&) { absent(); }
void CudnnConv::run(void*) { absent(); }

CudnnHandle::CudnnHandle() { absent(); }
CudnnHandle::~CudnnHandle() = default;
void CudnnHandle::set_stream(void* stream) {
  stream_ = stream;
  absent();
}

}  // namespace resnet::cuda
