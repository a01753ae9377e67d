# shellcheck shell=bash
# Sourced by the scripts beside this folder.

# find_cuda_toolkit INSTALL: sets cuda_root to a CUDA toolkit 12.4 or newer: the one whose nvcc is in PATH or in
# /usr/local/cuda, else, with INSTALL 1, the wheels of cuda-requirements.txt in .venv-cuda. Fails when there is none.
find_cuda_toolkit() {
  local nvcc version
  for nvcc in "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc .venv-cuda/root/bin/nvcc; do
    [ -x "$nvcc" ] || continue
    version=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
    if [ "$(printf '12.4\n%s\n' "$version" | sort -V | head -1)" = 12.4 ]; then
      cuda_root=$(cd "$(dirname "$(readlink -f "$nvcc")")/.." && pwd)
      return 0
    fi
  done
  [ "$1" = 1 ] || return 1
  python3 -m venv .venv-cuda && .venv-cuda/bin/pip install -q -r scripts/cuda-requirements.txt || return 1
  cuda_root=$(echo "$PWD"/.venv-cuda/lib/python3*/site-packages/nvidia/cu13)
  ln -sfn "$cuda_root" .venv-cuda/root
  # nvcc and CMake look for lib64.
  ln -sfn lib "$cuda_root/lib64"
}
