#!/usr/bin/env bash
# Checks and times the CUDA kernels on this machine's GPU. Part of the bundle that scripts/gpu_bundle.sh makes; it needs a
# driver, and Python with PyTorch for the comparison with cuDNN.
set -uo pipefail
folder=$(cd "$(dirname "$0")" && pwd)

usage() {
  cat <<'END'
Usage: run_gpu_checks.sh [--out FOLDER] [STAGE...]

Stages, in this order; without one, all of these:
  primitives   record lane and byte maps of the building blocks (primitives.json)
  tests        every kernel test, the networks' layers reduced
  bench        every kernel on every ResNet-50 layer at batch 1, 32 and 256 (kernels.json)
  cudnn        the same convolutions through PyTorch and cuDNN (cudnn.json)
  report       kernels.json, cudnn.json and the paper floors as one table (report.md, result.json)
  sanitizer    small kernel tests under compute-sanitizer: memcheck, racecheck, initcheck, synccheck (where installed)

Only by name:
  tests_full   every kernel test on the networks' own layers, with 500 random problems: takes long, the oracle is the host's

Each stage but tests_full has a time limit; all of them together stay below 8 minutes.

--out FOLDER   where results go (default results)
Exit status 0 when every stage that ran passed, else 1.
END
}

out=results stages=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    primitives | tests | tests_full | sanitizer | bench | cudnn | report) stages+=("$1") ;;
    *) echo "unknown stage or option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[ ${#stages[@]} -gt 0 ] || stages=(primitives tests bench cudnn report sanitizer)
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
cd "$folder" || exit 1

python=$(command -v python3 || true)
has_torch() { [ -n "$python" ] && "$python" -c 'import torch' 2>/dev/null; }

primitives() { timeout 20 ./kernel_tests_gpu --record-primitives "$out/primitives.json"; }
tests() { timeout 120 ./kernel_tests_gpu --reduced --random 60 --gtest_brief=1 --gtest_output=json:"$out/tests.json"; }
tests_full() { ./kernel_tests_gpu --gtest_brief=1 --gtest_output=json:"$out/tests-full.json"; }
sanitizer() {
  local tool status=0
  if ! command -v compute-sanitizer >/dev/null; then
    echo "skipped: compute-sanitizer is not installed"
    return 0
  fi
  for tool in memcheck racecheck initcheck synccheck; do
    echo "-- $tool"
    timeout 40 compute-sanitizer --tool "$tool" --error-exitcode 86 --print-limit 20 \
      ./kernel_tests_gpu --small --schedules 1 --gtest_filter="$(cat sanitizer_filter.txt)" >"$out/$tool.log" 2>&1 &&
      grep -q 'PASSED  . [1-9]' "$out/$tool.log" || {
      status=1
      tail -20 "$out/$tool.log"
    }
  done
  return $status
}
bench() { timeout 100 ./kernel_bench --network resnet50 --batch 1,32,256 --precision bf16 --out "$out/kernels.json"; }
cudnn() {
  has_torch || { echo "skipped: no Python with PyTorch"; return 0; }
  timeout 80 "$python" cudnn_layers.py "$out/kernels.json" "$out/cudnn.json"
}
report() {
  [ -n "$python" ] || { echo "skipped: no Python"; return 0; }
  "$python" report.py "$out" >"$out/report.md" && tail -12 "$out/report.md"
}

failed=0
for stage in "${stages[@]}"; do
  begin=$SECONDS
  echo "== $stage"
  if $stage >"$out/$stage.log" 2>&1; then state=passed; else state=FAILED failed=1; fi
  tail -15 "$out/$stage.log"
  echo "== $stage: $state, $((SECONDS - begin)) s"
done
exit $failed
