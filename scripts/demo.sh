#!/usr/bin/env bash
# The main job in one command: installs what is missing, builds, and reads the sample pictures with the default model.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib/packages.sh
. scripts/lib/packages.sh

usage() {
  cat <<'END'
Usage: scripts/demo.sh [--no-install] [--cuda | --no-cuda]

Builds the release executables into build/bin/ and classifies models/samples/ with models/digits.rne.

  --no-install   do not install Debian packages; build with what is there
  --cuda         build the CUDA backend; without this only where a GPU driver is present
  --no-cuda      never build the CUDA backend
END
}

install=1 cuda=auto
for option in "$@"; do
  case $option in
    --no-install) install=0 ;;
    --cuda) cuda=ON ;;
    --no-cuda) cuda=OFF ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $option" >&2; usage >&2; exit 2 ;;
  esac
done
if [ "$cuda" = auto ]; then
  if [ -e /proc/driver/nvidia/version ]; then cuda=ON; else cuda=OFF; fi
fi

[ "$install" = 0 ] || install_packages "${packages_build[@]}"

# The demo needs no tests; scripts/test.sh switches them on in the same build folder.
cmake --preset release -DRESNET_TESTS=OFF -DRESNET_CUDA="$cuda"
cmake --build build

echo
echo "\$ build/bin/resnet_infer -m models/digits.rne --top 1 models/samples"
build/bin/resnet_infer -m models/digits.rne --top 1 models/samples
cat <<'END'

The names of the pictures say the true digit. With your own weights, for example torchvision's ResNet-50:

  wget https://download.pytorch.org/models/resnet50-11ad3fa6.pth
  build/bin/resnet_convert resnet50-11ad3fa6.pth -o resnet50.rne
  build/bin/resnet_infer -m resnet50.rne YOUR.jpg
END
