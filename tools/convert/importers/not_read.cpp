// Formats that are recognised by content and refused with the way out.
#include "base/check.hpp"
#include "convert/importers/importer.hpp"

namespace resnet::convert {
namespace {

Imported refuse_torch(const SourceFiles& files) {
  fail(ErrorCode::import_failed, "was written by torch.save before PyTorch 0.1.10, as a tar file, which is not read",
       files.main.name(),
       "write it again with a current PyTorch: torch.save(torch.load(\"old.pth\", map_location=\"cpu\", "
       "weights_only=True), \"new.pth\")");
}

}  // namespace

const Importer torch_tar_importer = {
    "PyTorch tar",
    [](std::span<const std::byte> head, std::uint64_t) {
      return head.size() > 262 && starts_with(head.subspan(257), "ustar");
    },
    refuse_torch,
};

}  // namespace resnet::convert
