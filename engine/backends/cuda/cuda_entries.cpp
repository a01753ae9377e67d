// The backend's ordered list: our kernels in their catalog's order, then the libraries.
#include "backends/cuda/cuda_entries.hpp"

#include <vector>

#include "backends/cuda/kernel_entries.hpp"
#include "backends/cuda/library_entries.hpp"

namespace resnet::cuda {

std::span<const Implementation* const> cuda_entries() {
  static const std::vector<const Implementation*> list = [] {
    const auto kernels = kernel_entries(), libraries = library_entries();
    std::vector<const Implementation*> entries(kernels.begin(), kernels.end());
    entries.insert(entries.end(), libraries.begin(), libraries.end());
    return entries;
  }();
  return list;
}

}  // namespace resnet::cuda
