#!/usr/bin/env python3
"""Joins everything that run_gpu_checks.sh left in one results folder: gpu.md, gpu.json and, with matplotlib, gpu.png.

    report.py FOLDER [INTO]

Verdicts of the tests, recordings, sanitizers, times, cuDNN's times, PyTorch's times and the paper floors. What is missing is
said to be missing. The files are written into FOLDER, or into INTO (docs/benchmarks), which is made where it is not there.
"""

import contextlib
import io
import json
import re
import sys
from pathlib import Path

from roofline import H200, H200_BYTES_PER_S

NETWORK_BENCHES = ("network_bench", "network_bench_more")


def read_json(path):
    """The file's content, or None: it may be missing, or cut off by a process that was killed."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def read_stages(folder):
    """Per stage its state and seconds, and those of its parts."""
    stages = {}
    file = folder / "stages.tsv"
    for line in file.read_text().splitlines() if file.exists() else []:
        stage, part, state, seconds = line.split("\t")
        entry = stages.setdefault(stage, {"state": "did not end", "parts": {}})
        target = entry["parts"].setdefault(part, {}) if part else entry
        target.update({"state": state, "seconds": int(seconds)})
    return stages


def read_tests(folder, stage, parts):
    """Per process its state, how many tests ran, and what failed. A process that died left no file."""
    tests = {}
    names = set(parts) | {path.stem[len(stage) + 1:] for path in folder.glob(f"{stage}-*.json")}
    for name in sorted(names):
        verdict = dict(parts.get(name, {}))
        content = read_json(folder / f"{stage}-{name}.json")
        if content is None:
            log = folder / f"{stage}-{name}.log"
            words = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            verdict["failures"] = [{"test": "the process", "message": "ended without a result: " + " / ".join(words)}]
        else:
            cases = [case for suite in content["testsuites"] for case in suite["testsuite"]]
            verdict["ran"] = sum(case["result"] == "COMPLETED" for case in cases)
            verdict["skipped"] = sum(case["result"] == "SKIPPED" for case in cases)
            verdict["failures"] = [{"test": f"{case['classname']}.{case['name']}",
                                    "message": case["failures"][0]["failure"][:600]}
                                   for case in cases if case.get("failures")]
        tests[name] = verdict
    return tests


def read_sanitizer(folder, parts):
    tools = {}
    for name, part in parts.items():
        log = folder / f"sanitizer-{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        summary = [line for line in lines if re.search(r"ERROR SUMMARY|RACECHECK SUMMARY|PASSED  \.", line)]
        tools[name] = dict(part) | {"summary": summary}
    return tools


def first_line(text):
    return text.partition("\n")[0]


def best_of(entry):
    measured = [kernel for kernel in entry["kernels"] if "median_us" in kernel]
    return min(measured, key=lambda kernel: kernel["median_us"]) if measured else None


def floor_us(entry):
    peak = H200[entry["precision"]].operations_per_s
    return max(2 * entry["macs"] / peak, entry["bytes"] / H200_BYTES_PER_S) * 1e6


def in_cache(kernel, device):
    return kernel["sets"] * kernel["set_bytes"] < 2 * device["l2_bytes"]


def network_table(kernels, cudnn):
    """Prints a table of the network's layers; returns its rows and the sums per batch."""
    print("| layer | times in the network | kernel | us (min to max) | floor, us | floor / time | cuDNN, us | cuDNN / ours |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    rows, sums = [], {}
    for entry in kernels["problems"]:
        best = best_of(entry)
        total = sums.setdefault((entry["precision"], entry["batch"]), {"us": 0.0, "floor_us": 0.0, "missing": 0})
        if best is None:
            total["missing"] += 1
            print(f"| {entry['text']} | {entry['count']} | not measured | | | | | |")
            continue
        floor = floor_us(entry)
        peer = cudnn["layers"].get(entry["text"], {}).get("median_us")
        rows.append({"text": entry["text"], "count": entry["count"], "batch": entry["batch"], "kernel": best["name"],
                     "us": best["median_us"], "floor_us": floor, "cudnn_us": peer})
        total["us"] += best["median_us"] * entry["count"]
        total["floor_us"] += floor * entry["count"]
        peer_text = f"{peer:.2f} | {peer / best['median_us']:.2f}" if peer else "not measured | "
        print(f"| {entry['text']} | {entry['count']} | {best['name']} | {best['median_us']:.2f} ({best['min_us']:.2f} to "
              f"{best['max_us']:.2f}) | {floor:.2f} | {floor / best['median_us']:.2f} | {peer_text} |")
    print()
    for (precision, batch), total in sorted(sums.items()):
        lacking = f"; {total['missing']} layers were not measured" if total["missing"] else ""
        if total["us"]:
            print(f"{precision}, batch {batch}: sum over the network's layers {total['us'] / 1e3:.3f} ms, floor "
                  f"{total['floor_us'] / 1e3:.3f} ms, {batch / total['us'] * 1e6:,.0f} images/s of kernel time{lacking}")
    return rows, [{"precision": precision, "batch": batch} | total for (precision, batch), total in sorted(sums.items())]


def layers_of(kernels, cudnn):
    """Prints where a network's layers were timed and their table; returns what network_table() does."""
    driver = kernels["device"]["driver"]
    print(f"{kernels['device']['name']}, driver for CUDA {driver // 1000}.{driver % 1000 // 10}, {kernels['command']}; PyTorch "
          f"{cudnn['versions'].get('torch', 'not measured')}, cuDNN {cudnn['versions'].get('cudnn', 'not measured')}\n")
    if "H200" not in kernels["device"]["name"]:
        print("The floors are an H200's.\n")
    return network_table(kernels, cudnn)


def memory_table(memory):
    """Prints the share of a copy's bandwidth that each kernel reaches; returns the rows."""
    copy = memory.get("copy_gb_per_s")
    print("\n" + (f"A copy on the device moves {copy:,.0f} GB/s, read and written." if copy else "The copy was not measured.")
          + " Shares are of that; launches are included, which decide at batch 1. \"L2\": too small to leave the cache.\n")
    print("| problem | kernel | us (min to max) | least bytes / time, GB/s | of the copy | |")
    print("|---|---|---:|---:|---:|---|")
    rows = []
    for entry in memory["problems"]:
        for kernel in entry["kernels"]:
            if "median_us" not in kernel:
                print(f"| {entry['text']} | {kernel['name']} | {kernel['error']} | | | |")
                continue
            rate = entry["bytes"] / kernel["median_us"] / 1e3
            cached = in_cache(kernel, memory["device"])
            rows.append({"text": entry["text"], "batch": entry["batch"], "kernel": kernel["name"],
                         "us": kernel["median_us"], "gb_per_s": rate, "of_copy": rate / copy if copy else None,
                         "in_l2": cached})
            share = f"{rate / copy:.2f}" if copy else "not measured"
            print(f"| {entry['text']} | {kernel['name']} | {kernel['median_us']:.2f} ({kernel['min_us']:.2f} to "
                  f"{kernel['max_us']:.2f}) | {rate:,.0f} | {share} | {'L2' if cached else ''} |")
    return rows


def networks_table(bench):
    """Prints whole networks beside their peers."""
    print(f"\nWhole networks on {bench['gpu']}: {bench['command']}; PyTorch {bench['torch']}, cuDNN {bench['cudnn']}. Medians of "
          f"{bench['rounds']} rounds (least to most); \"x ours\" is the median of the ratios within a round.\n")
    print("| network | precision | batch | contender | us | images/s | x ours | relative L2 | from host memory, us | x ours |")
    print("|---|---|---:|---|---:|---:|---:|---:|---:|---:|")

    def cells(times):
        if not times:
            return "not measured | "
        ratio = times.get("times_ours", {}).get("median")
        return f"{times['median_us']:.1f} ({times['min_us']:.1f} to {times['max_us']:.1f}) | {f'{ratio:.2f}' if ratio else ''}"

    for entry in bench["entries"]:
        head = f"| {entry['network']} | {entry['precision']} | {entry['batch']} |"
        for name, times in entry["times"].items():
            us, ratio = cells(times).split(" | ")
            shown = name
            if name == "ours-libraries":
                steps = entry["implementations"][name]
                theirs = sum(count for step, count in steps.items() if step.startswith(("cudnn", "cublaslt")))
                shown = f"{name} ({theirs} of {sum(steps.values())} steps)"
            print(f"{head} {shown} | {us} | {entry['batch'] / times['median_us'] * 1e6:,.0f} | {ratio} | "
                  f"{entry['relative_l2'][name]:.1e} | {cells(entry.get('from_host', {}).get(name))} |")
        for name, error in entry["errors"].items():
            print(f"{head} {name} | not measured: {first_line(error)} | | | | | |")


def chart(benches, path):
    """A picture of the whole networks; False where there is nothing to draw it with."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    cases = {}
    for bench in benches:
        for entry in bench["entries"]:
            cases.setdefault((entry["network"], entry["precision"]), {})[entry["batch"]] = entry["times"]
    columns = min(4, len(cases))
    rows = -(-len(cases) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(3.4 * columns, 2.8 * rows + 0.5), squeeze=False)
    for axis in axes.flat[len(cases):]:
        axis.axis("off")
    colours = {"ours": "#c44e52", "ours-libraries": "#dd8452", "eager": "#8c9bb0", "compile": "#4c72b0"}
    for axis, ((network, precision), batches) in zip(axes.flat, cases.items()):
        for name, colour in colours.items():
            points = [(batch, times[name]) for batch, times in sorted(batches.items()) if name in times]
            if points:
                axis.plot([batch for batch, _ in points], [batch / own["median_us"] * 1e6 for batch, own in points],
                          marker="o", markersize=3, color=colour, label=name)
        axis.set(xscale="log", yscale="log", title=f"{network}, {precision}", xlabel="batch", ylabel="images/s")
        axis.set_xticks(sorted(batches), [str(batch) for batch in sorted(batches)], minor=False)
        axis.minorticks_off()
        axis.legend(fontsize=7)
    figure.suptitle(", ".join(sorted({str(bench["gpu"]) for bench in benches})), fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    return True


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: report.py FOLDER [INTO]")
    folder, into = Path(sys.argv[1]), Path(sys.argv[-1])
    if not folder.is_dir():
        sys.exit(f"{folder} is not a folder of results")
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"{into} cannot be made: {error.strerror}")
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        result = report(folder)
        benches = [result[name] for name in NETWORK_BENCHES if result.get(name, {}).get("entries")]
        if benches and chart(benches, into / "gpu.png"):
            print("\n![images per second](gpu.png)")
        elif benches:
            print("\nThere is no picture: Python has no matplotlib.")
    (into / "gpu.md").write_text(text.getvalue())
    (into / "gpu.json").write_text(json.dumps(result, indent=1))


def report(folder):
    """Prints the Markdown; returns everything for programs."""
    stages = read_stages(folder)
    kernels, memory = read_json(folder / "kernels.json"), read_json(folder / "memory.json")
    cudnn = read_json(folder / "cudnn.json") or {"versions": {}, "layers": {}}
    machine = folder / "machine.txt"
    result = {"machine": machine.read_text().splitlines() if machine.exists() else [],
              "device": (kernels or memory or {}).get("device"), "versions": cudnn["versions"], "stages": stages}
    for stage in ("tests", "tests_full", "networks", "huge"):
        if stage in stages:
            result[stage] = read_tests(folder, stage, stages[stage]["parts"])
    result["primitives"] = read_json(folder / "primitives.json")
    result["sanitizer"] = read_sanitizer(folder, stages.get("sanitizer", {"parts": {}})["parts"])

    if kernels:
        result["layers"], result["sums"] = layers_of(kernels, cudnn)
        result["kernels"] = kernels["problems"]
    else:
        print("The network's layers were not measured.")
    result["more_layers"] = {}
    for file in sorted(folder.glob("kernels-*.json")):
        name = file.stem.removeprefix("kernels-")
        if more := read_json(file):
            print(f"\n{name}:\n")
            rows, sums = layers_of(more, read_json(folder / f"cudnn-{name}.json") or {"versions": {}, "layers": {}})
            result["more_layers"][name] = {"layers": rows, "sums": sums}
    result["cudnn"] = cudnn["layers"]
    if memory:
        result["copy_gb_per_s"] = memory.get("copy_gb_per_s")
        result["memory_bound"] = memory_table(memory)
        result["memory_bound_kernels"] = memory["problems"]
    else:
        print("\nMemory-bound kernels were not measured.")

    for name in NETWORK_BENCHES:
        if bench := read_json(folder / f"{name}.json"):
            networks_table(bench)
            result[name] = bench
    if not any(name in result for name in NETWORK_BENCHES):
        print("\nWhole networks were not measured.")

    print("\n| stage | state | s | parts that did not pass |\n|---|---|---:|---|")
    for name, stage in stages.items():
        wrong = ", ".join(f"{part}: {own['state']}" for part, own in stage["parts"].items() if own["state"] != "passed")
        print(f"| {name} | {stage['state']} | {stage.get('seconds', '')} | {wrong} |")
    for stage in ("tests", "tests_full", "networks", "huge"):
        for part, verdict in result.get(stage, {}).items():
            for failure in verdict["failures"][:20]:
                print(f"\nFailed in {stage}, {part}: {failure['test']}: {first_line(failure['message'])}")
    failed_rows = [f"{entry['text']}, {kernel['name']}: {kernel['error']}"
                   for source in (kernels, memory) if source for entry in source["problems"]
                   for kernel in entry["kernels"] if "error" in kernel]
    for row in failed_rows:
        print(f"\nNot timed: {row}")
    return result


if __name__ == "__main__":
    main()
