#!/usr/bin/env bash
# Builds build/gpu-bundle: a folder that checks and times the CUDA kernels on a machine with a GPU driver, without build tools.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib/packages.sh
. scripts/lib/packages.sh
# shellcheck source=scripts/lib/cuda_toolkit.sh
. scripts/lib/cuda_toolkit.sh

usage() {
  cat <<'END'
Usage: scripts/gpu_bundle.sh [--no-install] [--architectures LIST]

Makes build/gpu-bundle (at most 24 MB): kernel_tests_gpu, kernel_bench, the comparison with cuDNN and run_gpu_checks.sh. Copy the
folder to a machine with an NVIDIA driver and start run_gpu_checks.sh there; its results come as files in one folder.

  --architectures LIST   as RESNET_CUDA_ARCHITECTURES (default 80-real;90)
  --no-install           install neither Debian packages nor a CUDA toolkit
END
}

install=1 architectures='80-real;90'
while [ $# -gt 0 ]; do
  case $1 in
    --no-install) install=0 ;;
    --architectures) architectures=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

[ "$install" = 0 ] || install_packages "${packages_build[@]}" "${packages_test[@]}"
if ! find_cuda_toolkit "$install"; then
  echo "no CUDA toolkit 12.4 or newer; put its nvcc into PATH, or run without --no-install" >&2
  exit 1
fi

cmake --preset cuda -DRESNET_TESTS=ON -DCUDAToolkit_ROOT="$cuda_root" -DRESNET_CUDA_ARCHITECTURES="$architectures"
cmake --build build-cuda --target kernel_tests_gpu kernel_bench

bundle=build/gpu-bundle
rm -rf "$bundle"
mkdir -p "$bundle"
for program in build-cuda/tests/kernel_tests_gpu build-cuda/tests/kernel_bench; do
  strip -o "$bundle/$(basename "$program")" "$program"
done
cp bench/gpu/run_gpu_checks.sh bench/gpu/cudnn_layers.py bench/gpu/roofline.py bench/gpu/report.py \
  bench/gpu/sanitizer_filter.txt "$bundle/"

# It must start where only a driver is installed.
for program in "$bundle/kernel_tests_gpu" "$bundle/kernel_bench"; do
  missing=$(ldd "$program" | grep -E 'libcuda|libgtest|libstdc|not found' || true)
  if [ -n "$missing" ]; then
    printf '%s needs libraries that a GPU machine may not have:\n%s\n' "$program" "$missing" >&2
    exit 1
  fi
done
bytes=$(du -sb "$bundle" | cut -f1)
printf '%s: %d KB\n' "$bundle" $((bytes / 1024))
if [ "$bytes" -gt $((24 << 20)) ]; then
  echo "the bundle is larger than 24 MB" >&2
  exit 1
fi
