#!/usr/bin/env python3
"""Times cuDNN, through PyTorch, on the convolutions of a kernel_bench result.

    cudnn_layers.py KERNELS.json OUT.json [--rounds 7]

Every convolution of KERNELS.json is run twice, channels-last, with the algorithm search on: as cuDNN's fused convolution + bias
+ ReLU (+ residual), and as the convolution alone, because PyTorch hands the fused form its own output as a residual where the
layer has none, which may cost a read. Each runs inside one CUDA graph that rotates over as many inputs, residuals and filters
as kernel_bench took to leave the L2 cache, with as many calls. OUT.json holds median and spread in us of the faster form per
problem, under the problem's text, and both medians; it is rewritten after every layer, the smallest batch first.
Exit status 77 where Python has no PyTorch.
"""

import argparse
import json
import os
import statistics
import sys

try:
    import torch
except (ImportError, OSError) as error:  # OSError: a library of it is missing
    print(f"skipped: no PyTorch ({error})")
    sys.exit(77)
if not torch.cuda.is_available():
    sys.exit(f"PyTorch {torch.__version__} finds no GPU (built for CUDA {torch.version.cuda})")

TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
MOST_SETS = 512
GRAPH_US = 3000  # as kernel_bench


def operands(problem, count):
    dtype = TYPES[problem["in"]]
    n, h, w, c, k = (problem[letter] for letter in "NHWCK")
    generator = torch.Generator(device="cuda").manual_seed(1)

    def tensor(*shape):
        values = torch.randn(*shape, generator=generator, device="cuda").to(dtype)
        return values.to(memory_format=torch.channels_last)

    weights = [tensor(k, c // problem["groups"], problem["R"], problem["S"]) for _ in range(count)]
    bias = torch.randn(k, generator=generator, device="cuda").to(dtype)
    inputs = [tensor(n, c, h, w) for _ in range(count)]
    residuals = [tensor(n, k, problem["P"], problem["Q"]) for _ in range(count)] if problem["residual"] else None
    return inputs, residuals, weights, bias


def time_problem(problem, count, rounds):
    inputs, residuals, weights, bias = operands(problem, count)
    geometry = ([problem["stride_h"], problem["stride_w"]], [problem["pad_top"], problem["pad_left"]],
                [problem["dilation_h"], problem["dilation_w"]], problem["groups"])

    def fused(i):
        if residuals is not None:
            return torch.cudnn_convolution_add_relu(inputs[i], weights[i], residuals[i], 1.0, bias, *geometry)
        return torch.cudnn_convolution_relu(inputs[i], weights[i], bias, *geometry)

    stride, padding, dilation, groups = geometry
    allow_tf32 = problem["precision"] == "tf32"

    def plain(i):
        return torch.cudnn_convolution(inputs[i], weights[i], padding, stride, dilation, groups, True, False, allow_tf32)

    forms, errors = {}, []
    for name, call in ({"fused": fused} | ({} if residuals else {"plain": plain})).items():
        try:
            forms[name] = time_calls(call, count, rounds)
        except RuntimeError as error:  # cuDNN has no such engine
            errors.append(error)
    if not forms:
        raise errors[0]
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
    calls = max(4, min(200, int(GRAPH_US / max(begin.elapsed_time(end) * 1e3 / count, 1))), count)
    graph = torch.cuda.CUDAGraph()
    outputs = [None] * count  # kept until their turn comes again, so that they rotate too
    with torch.cuda.graph(graph):
        for i in range(calls):
            outputs[i % count] = call(i % count)
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
    versions = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(),
                "cuda": torch.version.cuda}
    results = {}
    for entry in sorted(entries, key=lambda entry: entry["batch"]):
        if entry["kind"] != "conv":
            continue
        problem = entry["problem"]
        sets = [kernel["sets"] for kernel in entry["kernels"] if "sets" in kernel]
        torch.backends.cudnn.allow_tf32 = problem["precision"] == "tf32"
        try:
            results[entry["text"]] = time_problem(problem, min(max(sets, default=2), MOST_SETS), arguments.rounds)
        except RuntimeError as error:  # cuDNN has no fused engine, or no memory
            results[entry["text"]] = {"error": str(error).splitlines()[0]}
            print(f"{entry['text']}: {results[entry['text']]['error']}", file=sys.stderr)
            write(arguments.out, versions, results)
            torch.cuda.synchronize()  # an error that stays ends the run here
        write(arguments.out, versions, results)
        torch.cuda.empty_cache()


def write(path, versions, results):
    """Renamed into place: a process that is killed leaves a whole file."""
    with open(path + ".new", "w") as file:
        json.dump({"versions": versions, "layers": results}, file, indent=1)
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
