#!/usr/bin/env bash
# bench/gpu/run_gpu_checks.sh with the emulator's tests in place of the GPU's, and a benchmark that dies, hangs and goes on.
#   gpu_checks_test.sh SOURCES KERNEL_TESTS NETWORK_TESTS
set -euo pipefail
sources=$1 kernel_tests=$2 network_tests=$3
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

# Networks at a size that the emulator runs in a second.
cat >"$folder/network_tests_gpu" <<END
#!/usr/bin/env bash
exec "$network_tests" --networks resnet18 --size 32 --threads 2 "\$@" --gtest_filter='Faults.Names*'
END
chmod +x "$folder/network_tests_gpu"

status=0
"$folder/run_gpu_checks.sh" --out "$folder/out" primitives networks bench memory report || status=$?
[ $status -eq 0 ] || { cat "$folder"/out/*.log; exit 1; }
[ "$(wc -l <"$folder/starts")" = 4 ] || { echo "the benchmark was not started again behind what ended it"; exit 1; }
python3 - "$folder/out/result.json" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))
states = {name: stage["state"] for name, stage in result["stages"].items()}
assert states == {"primitives": "passed", "networks": "passed", "bench": "passed", "memory": "passed"}, states
assert result["networks"]["host"]["ran"] == 1 and not result["networks"]["host"]["failures"], result["networks"]
assert result["primitives"]["exact"]["ldmatrix_a"]
assert abs(result["memory_bound"][0]["of_copy"] - 0.9) < 1e-9, result["memory_bound"]
assert result["layers"][0]["us"] == 2.0
END

# A program that cannot start fails its stage with its own words, and the report still comes.
printf '#!/bin/sh\necho "no CUDA device" >&2\nexit 5\n' >"$folder/broken"
chmod +x "$folder/broken"
ln -sf broken "$folder/kernel_tests_gpu"
if "$folder/run_gpu_checks.sh" --out "$folder/out" primitives tests report >"$folder/screen"; then
  echo "a program that cannot start passed"
  exit 1
fi
grep -q "no CUDA device" "$folder/screen" || { cat "$folder/screen"; exit 1; }
python3 - "$folder/out/result.json" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))
assert result["stages"]["primitives"]["state"] == "FAILED" and result["stages"]["tests"]["state"] == "FAILED", result["stages"]
assert result["primitives"] is None
END
