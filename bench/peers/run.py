#!/usr/bin/env python3
"""Measures this engine beside ONNX Runtime, OpenVINO and PyTorch: same weights, same input, same threads, alternating.

    python3 -m venv .venv-peers && .venv-peers/bin/pip install -r bench/peers/requirements.txt
    .venv-peers/bin/python bench/peers/run.py --build build

Every engine sits in a process of its own that is stopped while another is measured. A round measures each engine once, after
an untimed run; the order within the rounds rotates. Prints markdown, writes peers.json and peers.png to docs/benchmarks/.
Numbers mean something only on a machine that does nothing else.
"""

import argparse
import datetime
import importlib.metadata
import json
import pathlib
import statistics
import subprocess
import sys

import numpy as np

import make_models
import report
from workers import Worker, run_once

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OWN = "resnet-engine"
PEERS = {"fp32": ["onnxruntime", "openvino", "torch-eager", "torch-frozen"],
         "bf16": ["openvino", "torch-eager", "torch-frozen"]}
# Outputs differ by rounding only; anything above means that two engines computed two networks.
AGREEMENT = {"fp32": 1e-4, "bf16": 5e-2}
BATCHES = (1, 8)


def cpu_facts():
    """The first processor's lines of /proc/cpuinfo."""
    facts = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        facts[key.strip()] = value.strip()
    return facts


def cpu_flags():
    return set(cpu_facts().get("flags", "").split())


def machine():
    """Name, family and model (the name alone rarely tells the generation), and what vectors it has."""
    facts, flags = cpu_facts(), cpu_flags()
    vectors = [name for flag, name in (("avx2", "AVX2"), ("avx512f", "AVX-512"), ("avx512_bf16", "AVX512-BF16"),
                                       ("amx_bf16", "AMX")) if flag in flags]
    return (f"{facts.get('model name', 'unknown CPU')} (family {facts.get('cpu family', '?')}, model "
            f"{facts.get('model', '?')}; {', '.join(vectors)})")


def convert(build, folder, network):
    target = folder / f"{network}.rne"
    if not target.exists():
        subprocess.run([build / "bin/resnet_convert", folder / f"{network}.pth", "-o", target], check=True,
                       stdout=subprocess.DEVNULL)
    return target


def relative_l2(values, reference):
    return float(np.linalg.norm(values.astype(np.float64) - reference) / np.linalg.norm(reference))


def measure_network(arguments, network, precision):
    folder = arguments.work
    workers = [Worker(OWN, [arguments.build / "bench/engine_worker", folder / f"{network}.rne", arguments.threads,
                            precision, folder / "input.f32"])]
    for peer in PEERS[precision]:
        workers.append(Worker(peer, [sys.executable, HERE / "peer_worker.py", peer, folder, network, arguments.threads,
                                     precision]))
    reference = np.fromfile(folder / f"{network}.reference.f32", np.float32).astype(np.float64)
    cases = []
    for batch in BATCHES:
        expected = reference[: batch * 1000]
        differences = {}
        for worker in workers:
            file = folder / "output.f32"
            worker.ask(f"output {batch} {file}")
            differences[worker.name] = relative_l2(np.fromfile(file, np.float32), expected)
            if not differences[worker.name] <= AGREEMENT[precision]:
                raise SystemExit(f"{worker.name} disagrees on {network}: relative L2 {differences[worker.name]:.2e}")
        runs = max(3, arguments.runs // batch)
        rounds = {worker.name: [] for worker in workers}
        for index in range(arguments.rounds):
            turn = index % len(workers)
            for worker in workers[turn:] + workers[:turn]:
                times = worker.times(f"infer {batch} {runs + 1}")[1:]
                rounds[worker.name].append(statistics.median(times))
        cases.append({"network": network, "precision": precision, "batch": batch, "rounds": rounds,
                      "relative_l2": differences})
        print(report.inference_table(cases[-1], OWN), "\n", file=sys.stderr, flush=True)
    for worker in workers:
        worker.close()
    return cases


def measure_process(arguments):
    """File to label: process start, loading the network, decoding, inference. The page cache is warm for everybody."""
    folder, threads = arguments.work, arguments.threads
    photo = folder / "photo.jpg"
    make_models.make_photo(photo, 640, 480)
    label = [sys.executable, HERE / "label_one.py"]
    commands = {
        OWN: [arguments.build / "bin/resnet_infer", "-m", folder / "resnet50.rne", "--threads", threads, photo],
        "onnxruntime": [*label, "onnxruntime", folder / "resnet50.onnx", photo, threads],
        "openvino": [*label, "openvino", folder / "resnet50.onnx", photo, threads],
        "torch": [*label, "torch", folder / "resnet50.pth", photo, threads],
    }
    cases = {name: {"seconds": [], "peak_bytes": []} for name in commands}
    for index in range(arguments.rounds + 1):
        for name, command in commands.items():
            seconds, peak, _ = run_once(command)
            if index > 0:
                cases[name]["seconds"].append(seconds)
                cases[name]["peak_bytes"].append(peak)
    return cases


def measure_preprocessing(arguments):
    photo = arguments.work / "photo12.jpg"
    make_models.make_photo(photo, 4000, 3000)
    workers = [Worker(OWN, [arguments.build / "bench/engine_worker", arguments.work / "resnet50.rne", 1, "fp32",
                            arguments.work / "input.f32"]),
               Worker("pillow + torchvision", [sys.executable, HERE / "peer_worker.py", "pillow", arguments.work, "-", 1,
                                               "fp32"])]
    rounds = {worker.name: [] for worker in workers}
    for _ in range(arguments.rounds):
        for worker in workers:
            rounds[worker.name].append(statistics.median(worker.times(f"preprocess {photo} 4")[1:]))
    for worker in workers:
        worker.close()
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="build folder of this engine")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/peers", help="where the networks are made")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/benchmarks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds, at least 5 for a claim")
    parser.add_argument("--runs", type=int, default=16, help="timed runs per round at batch 1")
    parser.add_argument("--networks", default="resnet18,resnet50")
    parser.add_argument("--only-inference", action="store_true", help="leave whole processes and preprocessing out")
    arguments = parser.parse_args()
    for name in ("build", "work", "out"):
        setattr(arguments, name, getattr(arguments, name).resolve())
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)

    has_bf16 = bool(cpu_flags() & {"avx512_bf16", "amx_bf16"})
    data = {"own": OWN, "machine": machine(), "threads": arguments.threads, "rounds": arguments.rounds,
            "date": datetime.date.today().isoformat(), "inference": [], "notes": [],
            "versions": {name: importlib.metadata.version(name)
                         for name in ("onnxruntime", "openvino", "torch", "torchvision", "pillow")}}
    if not has_bf16:
        data["notes"].append("bf16 was not measured: this CPU has neither AVX512-BF16 nor AMX.")
    for network in arguments.networks.split(","):
        make_models.make(network, arguments.work, max(BATCHES))
        convert(arguments.build, arguments.work, network)
        for precision in ("fp32", "bf16") if has_bf16 else ("fp32",):
            data["inference"] += measure_network(arguments, network, precision)
    if not arguments.only_inference:
        make_models.make("resnet50", arguments.work, max(BATCHES))
        convert(arguments.build, arguments.work, "resnet50")
        data["process"] = measure_process(arguments)
        data["preprocess"] = measure_preprocessing(arguments)

    (arguments.out / "peers.json").write_text(json.dumps(data, indent=1) + "\n")
    report.chart(data, arguments.out / "peers.png")
    print(report.markdown(data))


if __name__ == "__main__":
    main()
