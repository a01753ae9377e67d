#!/usr/bin/env python3
"""One peer in a process of its own, with the same line protocol as engine_worker.

    peer_worker.py PEER FOLDER NETWORK THREADS PRECISION

PEER is onnxruntime, openvino, torch-eager, torch-frozen or pillow (preprocessing only).
"""

import os
import pathlib
import sys
import time

import numpy as np


def onnxruntime_runner(folder, network, threads, precision, batches):
    import onnxruntime

    assert precision == "fp32"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / f"{network}.onnx", options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def openvino_runner(folder, network, threads, precision, batches):
    import openvino

    core = openvino.Core()
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads,
              "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision]}
    requests = {}
    for batch in batches:
        model = core.read_model(folder / f"{network}.onnx")
        model.reshape([batch, 3, 224, 224])
        requests[batch] = core.compile_model(model, "CPU", config).create_infer_request()

    def run(x):
        request = requests[len(x)]
        request.infer({0: x}, share_inputs=True)
        return request.get_output_tensor(0).data

    return run


def torch_runner(folder, network, threads, precision, batches, frozen):
    import torch
    import torchvision

    torch.set_num_threads(threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    module = getattr(torchvision.models, network)(weights=None).eval()
    module.load_state_dict(torch.load(folder / f"{network}.pth", weights_only=True))
    module = module.to(dtype=dtype, memory_format=torch.channels_last)

    def prepare(x):
        return torch.from_numpy(x).to(dtype=dtype, memory_format=torch.channels_last)

    if frozen:
        with torch.no_grad():
            traced = torch.jit.trace(module, prepare(np.zeros((1, 3, 224, 224), np.float32)))
            module = torch.jit.freeze(traced)

    def run(x):
        with torch.inference_mode():
            return module(prepare(x)).float().numpy()

    return run


def preprocess_runner():
    from PIL import Image
    from torchvision import transforms

    steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
                                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])

    def run(path):
        with Image.open(path) as image:
            return steps(image.convert("RGB"))

    return run


RUNNERS = {
    "onnxruntime": onnxruntime_runner,
    "openvino": openvino_runner,
    "torch-eager": lambda *a: torch_runner(*a, frozen=False),
    "torch-frozen": lambda *a: torch_runner(*a, frozen=True),
}


def timed(runs, work):
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1e3)
    return " ".join(f"{t:.4f}" for t in times)


def main():
    peer, folder, network, threads, precision = sys.argv[1:]
    folder = pathlib.Path(folder)
    # Libraries print to stdout; the protocol keeps the real one.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if peer == "pillow":
        import torch

        torch.set_num_threads(1)
        prepare = preprocess_runner()
    else:
        images = np.fromfile(folder / "input.f32", np.float32).reshape(-1, 3, 224, 224)
        run = RUNNERS[peer](folder, network, int(threads), precision, (1, len(images)))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        verb, *rest = line.split()
        if verb == "infer":
            x = np.ascontiguousarray(images[: int(rest[0])])
            print(timed(int(rest[1]), lambda: run(x)), file=answers, flush=True)
        elif verb == "output":
            np.asarray(run(np.ascontiguousarray(images[: int(rest[0])])), np.float32).tofile(rest[1])
            print("ok", file=answers, flush=True)
        elif verb == "preprocess":
            print(timed(int(rest[1]), lambda: prepare(rest[0])), file=answers, flush=True)


if __name__ == "__main__":
    main()
