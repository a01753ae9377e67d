#include "base/aligned_buffer.hpp"

#include <sys/mman.h>

#include <string>

#include "base/check.hpp"
#include "base/checked.hpp"

namespace resnet {

AlignedBuffer::AlignedBuffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  constexpr std::size_t huge_page = std::size_t{2} << 20;
  const std::size_t alignment = bytes >= huge_page ? huge_page : 64;
  const std::size_t rounded = checked_align<std::size_t>(bytes, 64, "buffer size");
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, checked_align(rounded, alignment, "buffer size"))));
  if (!data_) {
    fail(ErrorCode::out_of_memory, "cannot allocate " + std::to_string(bytes) + " bytes", "host memory",
         "use a smaller batch or free memory");
  }
  // Huge pages cut the page faults of the first touch; where they are switched off nothing changes.
  if (alignment == huge_page) (void)madvise(data_.get(), rounded, MADV_HUGEPAGE);
}

}  // namespace resnet
