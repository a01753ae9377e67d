#!/usr/bin/env python3
"""Joins kernels.json, cudnn.json and the paper floors of one results folder: prints Markdown, writes result.json.

    report.py FOLDER
"""

import json
import sys
from pathlib import Path

from roofline import H200, H200_BYTES_PER_S


def floor_us(entry, precision):
    peak = H200[precision].operations_per_s
    return max(2 * entry["macs"] / peak, entry["bytes"] / H200_BYTES_PER_S) * 1e6


def main():
    folder = Path(sys.argv[1])
    kernels = json.loads((folder / "kernels.json").read_text())
    cudnn_file = folder / "cudnn.json"
    cudnn = json.loads(cudnn_file.read_text()) if cudnn_file.exists() else {"versions": {}, "layers": {}}
    print(f"{kernels['device']['name']}, driver {kernels['device']['driver']}, {kernels['command']}; "
          f"PyTorch {cudnn['versions'].get('torch', 'not measured')}, cuDNN {cudnn['versions'].get('cudnn', 'not measured')}\n")
    if "H200" not in kernels["device"]["name"]:
        print("The floors are an H200's.\n")
    print("| layer | times in the network | kernel | us (min to max) | floor, us | floor / time | cuDNN, us | cuDNN / ours |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    rows, sums = [], {}
    for entry in kernels["problems"]:
        measured = [k for k in entry["kernels"] if "median_us" in k]
        if not measured:
            continue
        best = min(measured, key=lambda k: k["median_us"])
        floor = floor_us(entry, entry["precision"])
        peer = cudnn["layers"].get(entry["text"], {}).get("median_us")
        rows.append({"text": entry["text"], "count": entry["count"], "batch": entry["batch"], "kernel": best["name"],
                     "us": best["median_us"], "floor_us": floor, "cudnn_us": peer})
        total = sums.setdefault(entry["batch"], [0.0, 0.0])
        total[0] += best["median_us"] * entry["count"]
        total[1] += floor * entry["count"]
        peer_text = f"{peer:.2f} | {peer / best['median_us']:.2f}" if peer else "not measured | "
        print(f"| {entry['text']} | {entry['count']} | {best['name']} | {best['median_us']:.2f} ({best['min_us']:.2f} to "
              f"{best['max_us']:.2f}) | {floor:.2f} | {floor / best['median_us']:.2f} | {peer_text} |")
    print()
    for batch, (total, floor) in sorted(sums.items()):
        print(f"Batch {batch}: sum over the network's layers {total / 1e3:.3f} ms, floor {floor / 1e3:.3f} ms, "
              f"{batch / total * 1e6:,.0f} images/s of kernel time")
    (folder / "result.json").write_text(json.dumps({"device": kernels["device"], "versions": cudnn["versions"],
                                                    "layers": rows, "kernels": kernels["problems"]}, indent=1))


if __name__ == "__main__":
    main()
