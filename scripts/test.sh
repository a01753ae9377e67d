#!/usr/bin/env bash
# shellcheck disable=SC2317  # functions are called through stage()
# Builds and runs the tests. Without an argument: everything that a change must pass.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib/packages.sh
. scripts/lib/packages.sh
# shellcheck source=scripts/lib/cuda_toolkit.sh
. scripts/lib/cuda_toolkit.sh

usage() {
  cat <<'END'
Usage: scripts/test.sh [fast|all] [--no-install]

  fast           release build, all tests but the slow ones (the inner loop)
  (nothing)      release with the CUDA kernels on the emulator and their seeded bugs, then the address and undefined-behaviour
                 sanitizers; the CUDA kernels compiled for GPUs (80 and 90) into build/gpu-bundle; the Python tests in a
                 virtual environment
  all            the same for every GPU architecture, the thread sanitizer over the concurrent tests, a clang build, the format check, the long-running tests and a short benchmark run
  --no-install   do not install Debian packages, Python wheels or a CUDA toolkit; what misses something is skipped by name

Test labels: slow (not in fast), long (only in all), concurrent (also under the thread sanitizer),
release_only (too slow, or meaningless, under a sanitizer).
END
}

mode=whole install=1
for option in "$@"; do
  case $option in
    fast | all) mode=$option ;;
    --no-install) install=0 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $option" >&2; usage >&2; exit 2 ;;
  esac
done

if [ "$install" = 1 ]; then
  install_packages "${packages_build[@]}" "${packages_test[@]}"
  [ "$mode" != all ] || install_packages "${packages_all[@]}"
fi

jobs=$(nproc)
logs=build/test-logs
mkdir -p "$logs"
summary=()

# stage NAME COMMAND...: runs the command, keeps its seconds and ctest's closing line for the summary.
stage() {
  local name=$1 begin=$SECONDS status=0
  shift
  echo
  echo "== $name"
  "$@" 2>&1 | tee "$logs/$name.log" || status=$?
  local closing
  closing=$(grep -E 'tests passed' "$logs/$name.log" | tail -1 || true)
  summary+=("$(printf '%-14s %4d s  %s' "$name" $((SECONDS - begin)) "${closing:-exit status $status}")")
  [ $status -eq 0 ] || finish $status
}

finish() {
  echo
  echo "== summary ($mode, $SECONDS s)"
  printf '%s\n' "${summary[@]}"
  exit "$1"
}

configure_and_build() {  # PRESET FOLDER [OPTION...] -- [TARGET...]
  local preset=$1 folder=$2 options=()
  shift 2
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  cmake --preset "$preset" -B "$folder" -DRESNET_TESTS=ON "${options[@]}" && cmake --build "$folder" ${1:+--target "$@"}
}

run_ctest() {  # FOLDER [OPTION...]
  local folder=$1
  shift
  ctest --test-dir "$folder" --output-on-failure -j "$jobs" --no-tests=error "$@"
}

# Our model files, opened with other people's reader.
python_stage() {
  if [ "$install" = 1 ]; then
    python3 -m venv .venv && .venv/bin/pip install -q -r tests/requirements.txt || return
  elif [ ! -x .venv/bin/python ]; then
    echo "skipped: no .venv, and --no-install forbids making it"
    return
  fi
  local model
  for model in tests/golden/v*/*.rne; do
    echo "safetensors opens $model"
    .venv/bin/python tests/tools/safetensors_test.py "$model" "${model%.rne}.json" || return
  done
}
[ "$mode" = fast ] || stage python python_stage

[ "$install" = 0 ] || stage cudnn-headers fetch_cudnn_frontend
stage build configure_and_build release build --
case $mode in
  fast) stage release run_ctest build -LE 'slow|long' ; finish 0 ;;
  whole) stage release run_ctest build -LE long ;;
  all) stage release run_ctest build ;;
esac

# The kernels as GPUs get them: registers, spills, and the folder that a machine with a GPU runs.
cuda_stage() {
  if ! find_cuda_toolkit "$install"; then
    [ "$install" = 0 ] || { echo "no CUDA toolkit 12.4 or newer, and its wheels could not be installed" >&2; return 1; }
    echo "skipped: no CUDA toolkit 12.4 or newer, and --no-install forbids fetching one"
    return
  fi
  scripts/gpu_bundle.sh --no-install || return
  # A build with CUDA links on a machine without a GPU, and refuses there.
  if [ -e /dev/nvidiactl ]; then
    echo "skipped: there is a driver, so nothing is refused for want of one"
    return
  fi
  cmake --build build-bundle --target resnet_infer || return
  local status=0 said
  said=$(build-bundle/bin/resnet_infer -m models/digits.rne --device cuda models/samples/digit0_a.png 2>&1) || status=$?
  echo "exit status $status: $said"
  [ "$status" = 5 ] && [[ $said == *"no NVIDIA driver"* ]]
}
stage cuda cuda_stage

# Leaks, bad accesses and undefined behaviour. libdnnl is not instrumented: only what crosses into our code is seen.
export UBSAN_OPTIONS=print_stacktrace=1
stage asan-build configure_and_build asan build-asan --
stage asan run_ctest build-asan -LE 'long|release_only'

# Data races. Only the concurrent tests, and only their executables are built.
tsan_stage() {
  cmake --preset tsan -DRESNET_TESTS=ON || return
  local targets
  targets=$(ctest --test-dir build-tsan -N -L concurrent | sed -n 's/^ *Test *#[0-9]*: //p')
  # shellcheck disable=SC2086
  cmake --build build-tsan --target $targets || return
  # A long history: a race report whose stack is lost cannot be matched with the suppressions.
  TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=1 history_size=7" run_ctest build-tsan -L concurrent
}

# Kernels that no machine here can run must at least assemble within their budgets.
all_architectures_stage() {
  if ! find_cuda_toolkit "$install"; then
    [ "$install" = 0 ] || { echo "no CUDA toolkit 12.4 or newer, and its wheels could not be installed" >&2; return 1; }
    echo "skipped: no CUDA toolkit 12.4 or newer, and --no-install forbids fetching one"
    return
  fi
  configure_and_build cuda build-cuda-all -DCUDAToolkit_ROOT="$cuda_root" \
    '-DRESNET_CUDA_ARCHITECTURES=75-real;80-real;86-real;89-real;90-real;100-real;120-real' -- resnet_kernels resnet_primitives
}

if [ "$mode" = all ]; then
  stage cuda-all all_architectures_stage
  stage tsan tsan_stage
  stage clang-build configure_and_build release build-clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang --
  stage clang run_ctest build-clang -LE 'long|slow'
  # A minute each on top of replaying what is committed; longer runs keep their corpora in build-fuzz.
  stage fuzz-build configure_and_build release build-fuzz -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang \
    -DRESNET_FUZZ=ON -DRESNET_SANITIZE=address,undefined,fuzzer-no-link -- header_fuzz
  mkdir -p build-fuzz/corpus  # libFuzzer writes into the first folder
  stage fuzz-header build-fuzz/tests/header_fuzz -dict=tests/fuzz/header.dict -rss_limit_mb=512 -timeout=5 \
    -max_total_time=60 -print_final_stats=1 build-fuzz/corpus tests/golden/v1
  # TARGET SEEDS...: one reader of the converter.
  fuzz_stage() {
    local target=$1
    shift
    mkdir -p "build-fuzz/$target-corpus"
    cmake --build build-fuzz --target "convert_${target}_fuzz" &&
      "build-fuzz/tests/convert_${target}_fuzz" -rss_limit_mb=2048 -timeout=20 -max_total_time=60 -print_final_stats=1 \
        "build-fuzz/$target-corpus" "$@"
  }
  stage fuzz-pickle fuzz_stage pickle tests/fuzz/corpus/pickle
  stage fuzz-zip fuzz_stage zip tests/golden/pickle tests/fuzz/corpus/zip
  stage fuzz-safetensors fuzz_stage safetensors tests/fuzz/corpus/safetensors
  stage fuzz-json fuzz_stage keras_json tests/fuzz/corpus/keras_json
  # These two fork: libFuzzer's thread that watches the memory may hold a lock then, which the child waits for.
  stage fuzz-hdf5 fuzz_stage hdf5 -rss_limit_mb=0 tests/golden/keras/hostile
  stage fuzz-keras fuzz_stage keras_zip -rss_limit_mb=0 tests/golden/keras
  stage fuzz-onnx fuzz_stage onnx tests/golden/onnx
  stage format scripts/format.sh --check
  bench_smoke() { build/bin/resnet_bench -m models/digits.rne --batch 1,8 --layers; }
  stage bench bench_smoke
fi
finish 0
