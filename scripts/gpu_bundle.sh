#!/usr/bin/env bash
# Builds build/gpu-bundle: a folder that checks and times kernels and networks on a machine with a GPU driver, without build tools.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib/packages.sh
. scripts/lib/packages.sh
# shellcheck source=scripts/lib/cuda_toolkit.sh
. scripts/lib/cuda_toolkit.sh

usage() {
  cat <<'END'
Usage: scripts/gpu_bundle.sh [--no-install] [--architectures LIST]

Makes build/gpu-bundle (at most 24 MB): tests and benchmarks of the kernels and of whole networks, the engine's library for
them, the comparisons with cuDNN and PyTorch, recordings of other GPUs and run_gpu_checks.sh. Copy the folder to a machine with an
NVIDIA driver (for the CUDA version in build.txt or newer) and glibc 2.35 or newer, and start run_gpu_checks.sh there; its results come
as files in one folder. Comparisons need Python with PyTorch there; the engine uses the cuDNN and cuBLAS that PyTorch has loaded.

  --architectures LIST   as RESNET_CUDA_ARCHITECTURES (default 80-real;90)
  --no-install           install neither Debian packages nor a CUDA toolkit nor the headers of cudnn-frontend
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
[ "$install" = 0 ] || fetch_cudnn_frontend
if ! find_cuda_toolkit "$install"; then
  echo "no CUDA toolkit 12.4 or newer; put its nvcc into PATH, or run without --no-install" >&2
  exit 1
fi

# Nothing but what a plain machine has: networks are compared with the reference device, and no picture is read.
mkdir -p build-bundle
cmake --preset cuda -B build-bundle -DRESNET_TESTS=ON -DCUDAToolkit_ROOT="$cuda_root" \
  -DRESNET_CUDA_ARCHITECTURES="$architectures" -DRESNET_ONEDNN=OFF -DRESNET_TURBOJPEG=OFF -DRESNET_PNG=OFF \
  | tee build-bundle/configure.log
cmake --build build-bundle --target kernel_tests_gpu kernel_bench network_tests_gpu

bundle=build/gpu-bundle
rm -rf "$bundle"
mkdir -p "$bundle"
for program in kernel_tests_gpu kernel_bench network_tests_gpu libresnet_engine.so; do
  strip -o "$bundle/$program" "build-bundle/tests/$program"
done
cp bench/gpu/run_gpu_checks.sh bench/gpu/*.py bench/gpu/sanitizer_filter.txt "$bundle/"

[ ! -d tests/golden/primitives ] || { mkdir -p "$bundle/golden" && cp -r tests/golden/primitives "$bundle/golden/"; }
{
  echo "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
  "$cuda_root/bin/nvcc" --version | sed -n 's/.*release \([0-9.]*\), \(.*\)/CUDA \1 (\2)/p'
  echo "architectures $architectures"
  sed -n 's/^-- *\(cu[A-Z][^:]* header.*\)/\1/p' build-bundle/configure.log
} >"$bundle/build.txt"

# It must start where only a driver is installed.
newest_glibc=2.35  # Ubuntu 22.04
for program in "$bundle"/*; do
  if ! head -c 4 "$program" 2>/dev/null | grep -q ELF; then continue; fi
  libraries=$(objdump -p "$program" | sed -n 's/^ *NEEDED *//p' \
    | grep -vE '^(lib(c|m|dl|rt|pthread)\.so\.[0-9]+|ld-linux-x86-64\.so\.2|libresnet_engine\.so)$' || true)
  if [ -n "$libraries" ]; then
    printf '%s needs libraries that a GPU machine may not have:\n%s\n' "$program" "$libraries" >&2
    exit 1
  fi
  symbols=$(objdump -T "$program")
  glibc=$(grep -o 'GLIBC_[0-9.]*' <<<"$symbols" | sort -Vu | tail -1)
  if [ "$(printf '%s\n' "GLIBC_$newest_glibc" "$glibc" | sort -V | tail -1)" != "GLIBC_$newest_glibc" ]; then
    printf '%s needs %s, machines with a GPU may have %s only; it takes from newer ones:\n' "$program" "$glibc" "$newest_glibc" >&2
    awk -v limit="$newest_glibc" 'match($0, /GLIBC_[0-9.]+/) {
      split(substr($0, RSTART + 6, RLENGTH - 6), have, "."); split(limit, most, ".")
      if (have[1] > most[1] || (have[1] == most[1] && have[2] + 0 > most[2] + 0)) print "  " $NF
    }' <<<"$symbols" >&2
    exit 1
  fi
  echo "$program starts from $glibc on"
done
bytes=$(du -sb "$bundle" | cut -f1)
printf '%s: %d KB\n' "$bundle" $((bytes / 1024))
if [ "$bytes" -gt $((24 << 20)) ]; then
  echo "the bundle is larger than 24 MB" >&2
  exit 1
fi
