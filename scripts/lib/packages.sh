# shellcheck shell=bash disable=SC2034
# Debian 12 packages, once. Sourced by the scripts beside this folder.

# A compiler, CMake, and the libraries that the engine and its tools link.
packages_build=(g++ cmake ninja-build pkg-config
  nlohmann-json3-dev libcli11-dev libstb-dev
  libdnnl-dev libturbojpeg0-dev libpng-dev libzip-dev libhdf5-dev libonnx-dev libprotobuf-dev libssl-dev)

# What the tests need on top: GoogleTest, fibers for the CUDA emulator, a Python environment.
packages_test=(libgtest-dev libboost-context-dev python3-venv ca-certificates ccache)

# What `test.sh all` needs on top.
packages_all=(clang clang-format libomp-dev libclang-rt-14-dev)

# install_packages NAME...: installs by apt what is missing, through sudo when not root. Does nothing when all is there.
install_packages() {
  local missing=() name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "no apt-get here; install the counterparts of: ${missing[*]}, then run again with --no-install" >&2
    return 1
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "not root and no sudo: have these installed, then run again with --no-install: ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "installing: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null
}
