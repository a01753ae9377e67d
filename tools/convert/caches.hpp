#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace resnet::convert {

/// Folders in which frameworks keep downloaded weights.
struct CacheFolders {
  std::string torch;         ///< .../hub/checkpoints
  std::string hugging_face;  ///< .../hub
  /// From TORCH_HOME, XDG_CACHE_HOME, HF_HUB_CACHE, HF_HOME and HOME, as the frameworks themselves do.
  static CacheFolders from_environment();
};

/// A weight file that was found by its published name.
struct CachedFile {
  std::string path;
  std::string preset;  ///< for files that only their place identifies (Hugging Face); empty when the hash will tell
};

/// The local copy of "resnet50" ...: PyTorch's cache first, then Hugging Face's, the version that torchvision prefers
/// first. Looks at file names only, downloads nothing.
/// @throws Error invalid_argument for an unknown net, io that lists the places and where to get the file
CachedFile find_cached(std::string_view net, const CacheFolders& folders);

}  // namespace resnet::convert
