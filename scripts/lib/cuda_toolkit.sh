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

# fetch_cudnn_frontend: puts the headers of cudnn-requirements.txt (a wheel of 12 MB) into .venv-cuda/cudnn-frontend, where
# CMake looks for them. Does nothing when they are there, or where cuDNN's own headers are not installed.
fetch_cudnn_frontend() {
  local target=.venv-cuda/cudnn-frontend header found=
  for header in /usr/local/cuda/include/cudnn.h /usr/local/include/cudnn.h /usr/include/cudnn.h /usr/include/*/cudnn.h; do
    [ ! -e "$header" ] || found=$header
  done
  if [ -z "$found" ]; then
    echo "cudnn.h is not installed: this build gets no cuDNN convolutions"
    return 0
  fi
  ! cmp -s scripts/cudnn-requirements.txt "$target/requirements.txt" || return 0
  rm -rf "$target"
  local pip=.venv/bin/pip  # of the Python tests
  if [ ! -x "$pip" ]; then
    pip=.venv-cuda/bin/pip
    [ -x "$pip" ] || python3 -m venv .venv-cuda || return 1
  fi
  "$pip" install -q --no-deps --target "$target" -r scripts/cudnn-requirements.txt || return 1
  cp scripts/cudnn-requirements.txt "$target/requirements.txt"
}
