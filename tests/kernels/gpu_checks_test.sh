#!/usr/bin/env bash
# bench/gpu/run_gpu_checks.sh with the emulator's tests in place of the GPU's, and a benchmark that dies, hangs and goes on.
#   gpu_checks_test.sh SOURCES KERNEL_TESTS NETWORK_TESTS [LIBRARY]
# With the engine's LIBRARY and a Python that has PyTorch, the benchmark of networks runs on the CPU.
set -euo pipefail
sources=$1 kernel_tests=$2 network_tests=$3 library=${4:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$sources"/bench/gpu/* "$folder/"
ln -s "$kernel_tests" "$folder/kernel_tests_gpu"
# The first start dies of an error that stays, the second is killed, the third ends well.
cat >"$folder/kernel_bench" <<'END'
#!/usr/bin/env bash
echo start >>starts
case $(wc -l <starts) in
  1) exit 3 ;;
  2) kill -ALRM $$ ;;
esac
while [ $# -gt 1 ]; do [ "$1" != --out ] || out=$2; shift; done
cat >"$out" <<'JSON'
{"device": {"name": "a GPU", "driver": 13000, "l2_bytes": 100}, "command": "kernel_bench", "copy_gb_per_s": 1000.0, "problems": [
 {"text": "add", "kind": "other", "problem": {}, "count": 1, "batch": 1, "precision": "bf16", "macs": 0.0, "bytes": 1.8e6, "kernels": [
  {"name": "pointwise", "median_us": 2.0, "min_us": 1.0, "max_us": 3.0, "estimate_us": 2.0, "sets": 2, "set_bytes": 1800000},
  {"name": "other", "error": "did not return"}]}]}
JSON
END
chmod +x "$folder/kernel_bench"

# Networks and faults that the emulator runs in a second each.
cat >"$folder/network_tests_gpu" <<END
#!/usr/bin/env bash
for option; do
  case \$option in
    "--gtest_filter=Seeded/*-*Libraries*") option='--gtest_filter=Seeded/*Same*' ;;
    "--gtest_filter=-Seeded/*") option='--gtest_filter=FailingCuda.*' ;;
  esac
  options+=("\$option")
done
exec "$network_tests" "\${options[@]}" --networks resnet18 --size 32
END
chmod +x "$folder/network_tests_gpu"

# What a long benchmark of networks left earlier.
mkdir "$folder/out"
cat >"$folder/out/network_bench_more.json" <<'JSON'
{"command": "network_bench.py", "torch": "2", "cudnn": 9, "gpu": "a GPU", "rounds": 3, "entries": [
 {"network": "resnet50", "precision": "bf16", "batch": 8, "errors": {"compile": "no compiler"},
  "implementations": {"ours": {"conv_mma": 50}, "ours-libraries": {"cudnn": 53, "pool": 2}},
  "relative_l2": {"ours": 0.005, "ours-libraries": 0.004},
  "times": {"ours": {"median_us": 1000.0, "min_us": 990.0, "max_us": 1010.0, "times_ours": {"median": 1.0}},
            "ours-libraries": {"median_us": 1500.0, "min_us": 1490.0, "max_us": 1510.0, "times_ours": {"median": 1.5}}},
  "from_host": {"ours": {"median_us": 3000.0, "min_us": 2900.0, "max_us": 3100.0, "times_ours": {"median": 1.0}}}}]}
JSON

status=0
"$folder/run_gpu_checks.sh" --out "$folder/out" primitives networks bench memory bench_more report || status=$?
[ $status -eq 0 ] || { cat "$folder"/out/*.log; exit 1; }
[ "$(wc -l <"$folder/starts")" = 7 ] || { echo "the benchmark was not started again behind what ended it"; exit 1; }
python3 - "$folder/out/gpu.json" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))
states = {name: stage["state"] for name, stage in result["stages"].items()}
assert states == {"primitives": "passed", "networks": "passed", "bench": "passed", "memory": "passed",
                  "bench_more": "passed"}, states
assert result["networks"]["faults"]["ran"] == 3 and not result["networks"]["faults"]["failures"], result["networks"]
assert result["networks"]["libraries"]["skipped"] == 1 and not result["networks"]["libraries"]["failures"], result["networks"]
assert result["primitives"]["exact"]["ldmatrix_a"]
assert abs(result["memory_bound"][0]["of_copy"] - 0.9) < 1e-9, result["memory_bound"]
assert result["layers"][0]["us"] == 2.0
more = result["more_layers"]
assert sorted(more) == ["resnet152", "resnet18", "resnet50"] and more["resnet18"]["layers"][0]["us"] == 2.0, more
END

for row in '| ours | 1000.0 (990.0 to 1010.0) | 8,000 | 1.00 | 5.0e-03 | 3000.0 (2900.0 to 3100.0) | 1.00 |' \
  '| ours-libraries (53 of 55 steps) | 1500.0 (1490.0 to 1510.0) | 5,333 | 1.50 | 4.0e-03 | not measured |  |' \
  '| compile | not measured: no compiler |'; do
  grep -qF "| resnet50 | bf16 | 8 $row" "$folder/out/gpu.md" || { cat "$folder/out/gpu.md"; echo "missing: $row"; exit 1; }
done

# A program that cannot start fails its stage with its own words, and the report still comes.
printf '#!/bin/sh\necho "no CUDA device" >&2\nexit 5\n' >"$folder/broken"
chmod +x "$folder/broken"
ln -sf broken "$folder/kernel_tests_gpu"
if "$folder/run_gpu_checks.sh" --out "$folder/out" primitives tests report >"$folder/screen"; then
  echo "a program that cannot start passed"
  exit 1
fi
grep -q "no CUDA device" "$folder/screen" || { cat "$folder/screen"; exit 1; }
python3 - "$folder/out/gpu.json" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))
assert result["stages"]["primitives"]["state"] == "FAILED" and result["stages"]["tests"]["state"] == "FAILED", result["stages"]
assert result["primitives"] is None
END

# Without a GPU nothing is run, and that is an error that says so.
printf '#!/bin/sh\necho "skipped: device cuda: no driver"\nexit 77\n' >"$folder/network_tests_gpu"
printf '#!/bin/sh\nexit 9\n' >"$folder/nvidia-smi"
chmod +x "$folder/network_tests_gpu" "$folder/nvidia-smi"
if PATH="$folder:$PATH" "$folder/run_gpu_checks.sh" --out "$folder/none" primitives report >"$folder/screen"; then
  echo "a run without a GPU passed"
  exit 1
fi
grep -q "There is no GPU here.*no driver" "$folder/screen" || { cat "$folder/screen"; exit 1; }
[ ! -f "$folder/none/stages.tsv" ] || { echo "a stage was run without a GPU"; exit 1; }
# With one that the engine cannot use, its networks fail; they are not skipped.
printf '#!/bin/sh\nexit 0\n' >"$folder/nvidia-smi"
if PATH="$folder:$PATH" "$folder/run_gpu_checks.sh" --out "$folder/none" networks >"$folder/screen"; then
  echo "networks that the engine refused passed"
  exit 1
fi
grep -q "networks: FAILED" "$folder/screen" || { cat "$folder/screen"; exit 1; }

python3 -m py_compile "$folder"/*.py

network_bench() {  # OPTION...
  "$python" "$folder/network_bench.py" "$library" "$folder" "$folder/networks.json" --networks resnet18 --precisions fp32 \
    --batches 1,2 --rounds 1 --device cpu --contenders ours,eager --size 64 "$@" >"$folder/screen" 2>&1
}
for python in python3 "$sources"/.venv*/bin/python; do
  if [ -z "$library" ] || ! "$python" -c 'import torch' 2>/dev/null; then continue; fi
  "$network_tests" --networks resnet18 --size 64 --write-models "$folder"
  network_bench || { cat "$folder/screen"; exit 1; }
  # Goes on behind what it measured, repeats what failed, and takes nothing of another input size.
  python3 - "$folder/networks.json" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))
for entry in result["entries"]:
    assert sorted(entry["times"]) == ["eager", "ours"] and not entry["errors"], entry
result["entries"][0]["earlier"] = result["entries"][1]["earlier"] = True
result["entries"][1]["errors"]["eager"] = "killed"
json.dump(result, open(sys.argv[1], "w"))
END
  network_bench --resume || { cat "$folder/screen"; exit 1; }
  python3 - "$folder/networks.json" <<'END'
import json, sys
entries = json.load(open(sys.argv[1]))["entries"]
assert [(entry["batch"], entry.get("earlier"), entry["errors"]) for entry in entries] == [(1, True, {}), (2, None, {})], entries
END
  if network_bench --resume --size 32; then
    echo "times of another input size were kept"
    exit 1
  fi
  grep -q "measured with another size" "$folder/screen" || { cat "$folder/screen"; exit 1; }
  # What a contender cannot do is its own error, by name, and the status.
  if network_bench --precisions fp16 --batches 1; then
    echo "a contender that failed passed"
    exit 1
  fi
  grep -q "'eager': .*us.*'ours': .*not fp16" "$folder/screen" || { cat "$folder/screen"; exit 1; }
  break
done
