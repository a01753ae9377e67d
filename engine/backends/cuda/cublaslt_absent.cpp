// In the place of cublaslt_plan.cpp where cublasLt.h was missing, and on the emulator.
#include "backends/cuda/cublaslt_plan.hpp"
#include "base/check.hpp"

namespace resnet::cuda {
namespace {

[[noreturn]] void absent() { fail(ErrorCode::internal, "cuBLASLt was chosen: " + cublaslt_built_in().reason); }

}  // namespace

struct CublasltDense::Impl {};

Support cublaslt_built_in() {
  return Support::no("this build has no cuBLASLt products: it was configured without cublasLt.h");
}

CublasltHandle::CublasltHandle() { absent(); }
CublasltHandle::~CublasltHandle() = default;

CublasltDense::CublasltDense(const DenseProblem&, const CublasltHandle&) { absent(); }
CublasltDense::~CublasltDense() = default;
const std::vector<std::string>& CublasltDense::choices() const { absent(); }
void CublasltDense::use(std::size_t) { absent(); }
std::size_t CublasltDense::workspace_bytes() const { absent(); }
void CublasltDense::bind(const CublasltOperands&) { absent(); }
void CublasltDense::run(void*) { absent(); }

}  // namespace resnet::cuda
