#!/usr/bin/env python3
"""Times cuDNN, through PyTorch, on the convolutions of a kernel_bench result.

    cudnn_layers.py KERNELS.json OUT.json [--rounds 7]

Every convolution of KERNELS.json is run twice, channels-last, with the algorithm search on: as cuDNN's fused convolution + bias
+ ReLU (+ residual), and as the convolution alone, because PyTorch hands the fused form its own output as a residual where the
layer has none, which may cost a read. Each runs inside one CUDA graph that rotates over enough inputs to leave the L2 cache,
with as many calls as kernel_bench takes. OUT.json holds median and spread in us of the faster form per problem, under the
problem's text, and both medians.
"""

import argparse
import json
import statistics
import sys

import torch

TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
CACHE_BYTES = 128 << 20
GRAPH_US = 3000  # as kernel_bench


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

    def fused(i):
        if residuals is not None:
            return torch.cudnn_convolution_add_relu(inputs[i], weight, residuals[i], 1.0, bias, *geometry)
        return torch.cudnn_convolution_relu(inputs[i], weight, bias, *geometry)

    stride, padding, dilation, groups = geometry
    allow_tf32 = problem["precision"] == "tf32"

    def plain(i):
        return torch.cudnn_convolution(inputs[i], weight, padding, stride, dilation, groups, True, False, allow_tf32)

    forms = {"fused": time_calls(fused, count, rounds)}
    if residuals is None:
        forms["plain"] = time_calls(plain, count, rounds)
    best = min(forms.values(), key=lambda times: times["median_us"])
    return best | {f"{name}_us": times["median_us"] for name, times in forms.items()}


def time_calls(call, count, rounds):
    """Median, least and most us of call(0 .. count - 1) inside a graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for i in range(count):
            call(i)
        side.synchronize()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for i in range(count):
            call(i)
        end.record()
    end.synchronize()
    calls = max(4, min(200, int(GRAPH_US / max(begin.elapsed_time(end) * 1e3 / count, 1))))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(calls):
            call(i % count)
    times = []
    for _ in range(rounds + 1):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / calls)
    times = times[1:]  # the first one warms up
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
            torch.cuda.synchronize()  # an error that stays ends the run here
    versions = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(),
                "cuda": torch.version.cuda}
    with open(arguments.out, "w") as file:
        json.dump({"versions": versions, "layers": results}, file, indent=1)


if __name__ == "__main__":
    main()
