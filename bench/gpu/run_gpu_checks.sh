#!/usr/bin/env bash
# shellcheck disable=SC2317  # stages are called by name
# Checks and times the CUDA kernels, and whole networks, on this machine's GPU. Part of the bundle that scripts/gpu_bundle.sh makes;
# it needs a driver, and Python with PyTorch for the comparisons.
set -uo pipefail
folder=$(cd "$(dirname "$0")" && pwd)

usage() {
  cat <<'END'
Usage: run_gpu_checks.sh [--out FOLDER] [STAGE...]

Stages, in this order; without one, all of these:
  primitives   record lane and byte maps of the building blocks (primitives.json)
  tests        every kernel test, the networks' layers reduced; a process per kernel (tests-NAME.json)
  networks     whole networks against the reference device's, with and without libraries, failing CUDA calls, memory, threads, fork
               (networks-NAME.json)
  bench        every kernel on every ResNet-50 layer at batch 1, 32 and 256 (kernels.json)
  memory       what only moves bytes, and a plain copy (memory.json)
  network_bench  ResNet-50 in bf16 at five batches beside the library-only engine and eager PyTorch (network_bench.json)
  cudnn        the convolutions of bench through PyTorch and cuDNN (cudnn.json)
  sanitizer    small kernel tests under compute-sanitizer: memcheck, racecheck, initcheck, synccheck (where installed)
  report       all of it, with the paper floors, as tables, one file and, with matplotlib, a picture (gpu.md, gpu.json, gpu.png)

Only by name:
  huge         results beyond element 2^32, a process per kernel: tens of GB of device memory, up to 9 GB of the host's
  tests_full   every kernel test on the networks' own layers, with 500 random problems: takes long, the oracle is the host's

Only by name, and going on where they stopped when they are started again with the same --out:
  bench_more   bench for ResNet-18, 50 and 152 in four precisions at five batches (kernels-NETWORK.json)
  cudnn_more   the convolutions of bench_more through PyTorch and cuDNN (cudnn-NETWORK.json)
  network_bench_more  the three networks in four precisions, also beside torch.compile and from host memory: takes an hour
               (network_bench_more.json)

All stages of a run without names together take less than 8 minutes: each has a time limit, and what is left of the 8 minutes
is the last one's. A kernel that fails or hangs costs its own part of a stage; what was measured before is kept.

--out FOLDER   where results go (default results); what an earlier run left there of the same stages is overwritten
Exit status 0 when every stage that ran passed, else 1.
END
}

out=results stages=()
while [ $# -gt 0 ]; do
  case $1 in
    --out)
      [ $# -gt 1 ] || { echo "--out misses its folder" >&2; exit 2; }
      out=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    primitives | tests | networks | bench | memory | network_bench | cudnn | sanitizer | report | huge | tests_full \
      | bench_more | cudnn_more | network_bench_more) stages+=("$1") ;;
    *) echo "unknown stage or option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
whole_s=100000
if [ ${#stages[@]} -eq 0 ]; then
  stages=(primitives tests networks bench memory network_bench cudnn sanitizer report)
  whole_s=470  # with the seconds that killing takes, less than 8 minutes
fi
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
cd "$folder" || exit 1

python=$(command -v python3 || command -v python || true)
PATH=$PATH:/usr/local/cuda/bin  # where compute-sanitizer is, if anywhere
skipped=77 no_time_left=78 timed_out=124
stage=

# note STATE SECONDS [PART]: a line of stages.tsv for the report.
note() { printf '%s\t%s\t%s\t%s\n' "$stage" "${3:-}" "$1" "$2" >>"$out/stages.tsv"; }

state_of() {  # STATUS
  case $1 in
    0) echo passed ;;
    "$skipped") echo skipped ;;
    "$no_time_left") echo "no time left" ;;
    124 | 137) echo "timed out" ;;
    *) echo FAILED ;;
  esac
}

# limited SECONDS COMMAND...: at most so long, and no longer than the stage may take. Status 124 after that, 78 where no time is
# left to begin.
limited() {
  local seconds=$1 status=0
  shift
  [ "$seconds" -le $((stage_end - SECONDS)) ] || seconds=$((stage_end - SECONDS))
  [ "$seconds" -ge 1 ] || return "$no_time_left"
  timeout -k 3 "$seconds" "$@" || status=$?
  [ "$status" -ne 137 ] || status="$timed_out"
  return "$status"
}

# part NAME SECONDS COMMAND...: limited, with a log, a line for the report and one on the screen if it fails.
part() {
  local name=$1 seconds=$2 begin=$SECONDS status=0 state
  shift 2
  limited "$seconds" "$@" >"$out/$stage-$name.log" 2>&1 || status=$?
  state=$(state_of "$status")
  note "$state" $((SECONDS - begin)) "$name"
  if [ "$status" -ne 0 ]; then
    echo "-- $name: $state (status $status)"
    tail -12 "$out/$stage-$name.log"
  fi
  return "$status"
}

# worse A B: the status that says more; failures before what took too long.
worse() {
  case $1 in
    0) echo "$2" ;;
    "$timed_out" | "$no_time_left")
      case $2 in
        0 | "$timed_out" | "$no_time_left") echo "$1" ;;
        *) echo "$2" ;;
      esac
      ;;
    *) echo "$1" ;;
  esac
}

# A process per kernel: an illegal access ends CUDA for its process. What belongs to no kernel, or to all, comes first.
test_kernels() {  # SECONDS_PER_PART OPTION...
  local seconds=$1 status=0 name filter kernels own
  local host='Oracle.*:Numbers.*:ProblemTable.*:Judge.*:Data.*:Refusals.*:KernelMisuseSamples.*:OpProblem.*'
  host+=':Harness.*:PrimitivesTest.*:Recordings.*:*HaveAKernelOnEveryDevice*'
  local chains='WholeNetwork.*:Networks/Blocks.*:Networks/SmallNetworks.*:Ops/OpTable.*:Activations.*'
  local tiles='Tiles/ConvMma.*' huge='HugeSizesOnAGpu.*:Catalog/HugeResults.*'
  shift
  kernels=$(./kernel_tests_gpu --list-kernels) || return 1
  [ "$stage" = huge ] || kernels="host chains tiles $kernels"
  for name in $kernels; do
    own=()
    case $stage-$name in
      *-host) filter=$host ;;
      *-chains) filter=$chains ;;
      *-tiles) filter=$tiles ;;
      huge-*) filter=$huge own=(--kernel "$name") ;;
      *) filter="*-$host:$chains:$tiles:$huge" own=(--kernel "$name") ;;
    esac
    part "$name" "$seconds" ./kernel_tests_gpu "$@" "${own[@]}" --gtest_brief=1 "--gtest_filter=$filter" \
      "--gtest_output=json:$out/$stage-$name.json"
    status=$(worse "$status" $?)
  done
  return "$status"
}

# Starts again behind each kernel that ends the process (status 3, SIGALRM or a crash).
bench_into() {  # FILE OPTION...
  local file=$1 status starts=0
  shift
  while :; do
    status=0
    limited 100000 ./kernel_bench --precision bf16 --batch 1,32,256 "$@" --resume --out "$file" || status=$?
    starts=$((starts + 1))
    case $status in
      0 | 1 | 2 | "$timed_out" | "$no_time_left") return "$status" ;;
    esac
    [ "$starts" -lt 40 ] || return "$status"
    echo "kernel_bench ended with status $status; it goes on behind the kernel that ended it"
  done
}

primitives() { limited 100000 ./kernel_tests_gpu --record-primitives "$out/primitives.json"; }
tests() { test_kernels 40 --reduced --random 60; }
tests_full() { test_kernels 1800; }
huge() { test_kernels 300; }
# Of our kernels, whatever libraries lie about; then through those. Another process for what breaks things on purpose.
networks() {
  local status=0 tests=(./network_tests_gpu --gtest_brief=1)
  local own=(env RESNET_ENGINE_CUDNN=off RESNET_ENGINE_CUBLASLT=off "${tests[@]}")
  part whole 55 "${own[@]}" '--gtest_filter=Seeded/*-*Libraries*' "--gtest_output=json:$out/networks-whole.json" || status=$?
  part faults 30 "${own[@]}" '--gtest_filter=-Seeded/*' "--gtest_output=json:$out/networks-faults.json" \
    || status=$(worse "$status" $?)
  part libraries 30 "${tests[@]}" --networks resnet18,resnet50 '--gtest_filter=Seeded/*Libraries*' \
    "--gtest_output=json:$out/networks-libraries.json" || status=$(worse "$status" $?)
  [ "$status" -ne "$skipped" ] || return 1  # no GPU is not what this stage came for
  return "$status"
}
# Weights from a seed; they stay beside the programs.
write_models() {  # NETWORK,...
  mkdir -p models && limited 100000 ./network_tests_gpu --networks "$1" --write-models models
}
network_bench_into() {  # FILE NETWORKS OPTION...
  local file=$1 networks=$2
  shift 2
  [ -n "$python" ] || { echo "skipped: no Python"; return "$skipped"; }
  write_models "$networks" || return
  limited 100000 "$python" network_bench.py libresnet_engine.so models "$file" --networks "$networks" "$@"
}
network_bench() {
  network_bench_into "$out/network_bench.json" resnet50 --batches 1,256,32,8,128 --contenders ours,ours-libraries,eager
}
network_bench_more() {
  network_bench_into "$out/network_bench_more.json" resnet50,resnet18,resnet152 --precisions bf16,fp16,tf32,fp32 --from-host \
    --resume
}
bench() { bench_into "$out/kernels.json" --network resnet50; }
memory() { bench_into "$out/memory.json" --network memory_bound; }
more_networks=(resnet50 resnet18 resnet152)
bench_more() {
  local network status=0
  for network in "${more_networks[@]}"; do
    bench_into "$out/kernels-$network.json" --network "$network" --precision bf16,fp16,tf32,fp32 --batch 1,8,32,128,256 \
      || status=$(worse "$status" $?)
  done
  return "$status"
}
cudnn_into() {  # KERNELS FILE
  [ -n "$python" ] || { echo "skipped: no Python"; return "$skipped"; }
  [ -f "$1" ] || { echo "skipped: there is no $1, which a benchmark of the kernels leaves"; return "$skipped"; }
  limited 100000 "$python" cudnn_layers.py "$1" "$2"
}
cudnn() { cudnn_into "$out/kernels.json" "$out/cudnn.json"; }
cudnn_more() {
  local network status=0
  for network in "${more_networks[@]}"; do
    [ ! -f "$out/cudnn-$network.json" ] || continue  # a killed one leaves another name
    cudnn_into "$out/kernels-$network.json" "$out/cudnn-$network.partial" || { status=$(worse "$status" $?); continue; }
    mv "$out/cudnn-$network.partial" "$out/cudnn-$network.json"
  done
  return "$status"
}
sanitizer() {
  local tool log status=0 own
  command -v compute-sanitizer >/dev/null || { echo "skipped: compute-sanitizer is not installed"; return "$skipped"; }
  for tool in memcheck racecheck initcheck synccheck; do
    own=0
    part "$tool" 30 compute-sanitizer --tool "$tool" --error-exitcode 86 --print-limit 20 \
      ./kernel_tests_gpu --small --schedules 1 "--gtest_filter=$(cat sanitizer_filter.txt)" || own=$?
    log=$out/$stage-$tool.log
    if [ "$own" -eq 0 ] && ! grep -q 'PASSED  . [1-9]' "$log"; then
      own=1
      echo "-- $tool: no test ran"
      note FAILED 0 "$tool"
    fi
    status=$(worse "$status" "$own")
  done
  return "$status"
}
report() {
  [ -n "$python" ] || { echo "skipped: no Python"; return "$skipped"; }
  "$python" report.py "$out" && grep -v '^|' "$out/gpu.md" | tail -14
}

# Files of an earlier run must not pass for this one's.
forget() {
  case $1 in
    primitives) rm -f "$out/primitives.json" ;;
    tests | tests_full | networks | huge | sanitizer) rm -f "$out/$1"-*.json "$out/$1"-*.log ;;
    bench) rm -f "$out/kernels.json" ;;
    memory) rm -f "$out/memory.json" ;;
    network_bench) rm -f "$out/network_bench.json" ;;
    cudnn) rm -f "$out/cudnn.json" ;;
    report) rm -f "$out"/gpu.{md,json,png} ;;
  esac
  [ ! -f "$out/stages.tsv" ] || sed -i "/^$1\t/d" "$out/stages.tsv"
}

limit_of() {
  case $1 in
    primitives) echo 15 ;;
    tests) echo 100 ;;
    networks) echo 85 ;;
    bench) echo 75 ;;
    memory) echo 20 ;;
    network_bench) echo 95 ;;
    cudnn) echo 40 ;;
    sanitizer) echo 50 ;;
    *) echo 100000 ;;
  esac
}

{
  if command -v nvidia-smi >/dev/null; then
    timeout 20 nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv 2>&1
  else
    echo "nvidia-smi is not installed"
  fi
  [ ! -f build.txt ] || cat build.txt
} | tee "$out/machine.txt"
# Where the engine finds no GPU, the driver decides whether there is one.
probe=$(timeout 60 ./network_tests_gpu --networks resnet18 --gtest_list_tests 2>&1) || {
  if ! nvidia-smi -L >/dev/null 2>&1; then
    echo "There is no GPU here that could be checked, so no stage was run: ${probe##*$'\n'}" | tee -a "$out/machine.txt"
    exit 1
  fi
  echo "The engine finds no GPU: $probe"
}

failed=0
for stage in "${stages[@]}"; do
  forget "$stage"
  begin=$SECONDS status=0
  stage_end=$((begin + $(limit_of "$stage")))
  [ $stage_end -le $whole_s ] || stage_end=$whole_s
  echo "== $stage"
  $stage >"$out/$stage.log" 2>&1 || status=$?
  state=$(state_of "$status")
  [ "$status" -eq 0 ] || [ "$status" -eq "$skipped" ] || failed=1
  note "$state" $((SECONDS - begin))
  tail -15 "$out/$stage.log"
  echo "== $stage: $state, $((SECONDS - begin)) s"
done
exit $failed
