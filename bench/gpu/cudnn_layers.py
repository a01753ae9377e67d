#!/usr/bin/env python3
"""Times cuDNN, through PyTorch, on the convolutions of a kernel_bench result.

    cudnn_layers.py KERNELS.json OUT.json [--rounds 7]

Every convolution of KERNELS.json is run as cuDNN's fused convolution + bias + ReLU (+ residual), channels-last, with the
algorithm search on, inside one CUDA graph that rotates over enough inputs to leave the L2 cache. OUT.json holds the median and
the spread in us per problem, under the problem's text.
"""

import argparse
import json
import statistics
import sys

import torch

TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
CACHE_BYTES = 128 << 20
CALLS = 20


def operands(problem, count):
    dtype = TYPES[problem["in"]]
    n, h, w, c, k = (problem[letter] for letter in "NHWCK")
    generator = torch.Generator(device="cuda").manual_seed(1)

    def tensor(*shape):
        values = torch.randn(*shape, generator=generator, device="cuda").to(dtype)
        return values.to(memory_format=torch.channels_last)

    weight = tensor(k, c // problem["groups"], problem["R"], problem["S"])
    bias = torch.randn(k, generator=generator, device="cuda").to(dtype)
    inputs = [tensor(n, c, h, w) for _ in range(count)]
    residuals = [tensor(n, k, problem["P"], problem["Q"]) for _ in range(count)] if problem["residual"] else None
    return inputs, residuals, weight, bias


def time_problem(problem, rounds):
    size = torch.finfo(TYPES[problem["in"]]).bits // 8
    moved = size * (problem["N"] * problem["H"] * problem["W"] * problem["C"] +
                    (2 if problem["residual"] else 1) * problem["N"] * problem["P"] * problem["Q"] * problem["K"])
    count = max(2, min(16, CACHE_BYTES // max(moved, 1) + 1))
    inputs, residuals, weight, bias = operands(problem, count)
    geometry = ([problem["stride_h"], problem["stride_w"]], [problem["pad_top"], problem["pad_left"]],
                [problem["dilation_h"], problem["dilation_w"]], problem["groups"])

    def call(i):
        if residuals is not None:
            return torch.cudnn_convolution_add_relu(inputs[i], weight, residuals[i], 1.0, bias, *geometry)
        return torch.cudnn_convolution_relu(inputs[i], weight, bias, *geometry)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for i in range(count):
            call(i)
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = [call(i % count) for i in range(CALLS)]
    del kept
    times = []
    for _ in range(rounds + 1):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / CALLS)
    times = times[1:]
    return {"median_us": statistics.median(times), "min_us": min(times), "max_us": max(times)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels")
    parser.add_argument("out")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    with open(arguments.kernels) as file:
        entries = json.load(file)["problems"]
    results = {}
    for entry in entries:
        problem = entry["problem"]
        if entry["kind"] != "conv":
            continue
        torch.backends.cudnn.allow_tf32 = problem["precision"] == "tf32"
        try:
            results[entry["text"]] = time_problem(problem, arguments.rounds)
        except RuntimeError as error:  # cuDNN has no fused engine, or no memory
            results[entry["text"]] = {"error": str(error).splitlines()[0]}
            print(f"{entry['text']}: {results[entry['text']]['error']}", file=sys.stderr)
    versions = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(),
                "cuda": torch.version.cuda}
    with open(arguments.out, "w") as file:
        json.dump({"versions": versions, "layers": results}, file, indent=1)


if __name__ == "__main__":
    main()
