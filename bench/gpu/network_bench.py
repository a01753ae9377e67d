#!/usr/bin/env python3
"""Times whole networks side by side on one GPU: this engine and PyTorch, same weights, same inputs.

    network_bench.py LIBRARY MODELS OUT.json [--networks resnet50] [--precisions bf16] [--batches 1,8,32,128,256]
                     [--contenders ours,ours-libraries,eager,compile] [--rounds 7] [--from-host] [--resume]
                     [--device cuda|cpu]

LIBRARY is libresnet_engine.so, MODELS a folder with NAME.rne (network_tests_gpu --write-models). Contenders:
  ours            the engine with its own kernels only
  ours-libraries  the engine with cuDNN and cuBLASLt wherever they can
  eager           PyTorch, channels-last, algorithm search on, in a CUDA graph
  compile         torch.compile(mode="max-autotune"), channels-last
Each gets a float32 NHWC batch on the device, another one every time, and leaves float32 outputs there; what a contender makes of
the input (16-bit values) is part of its time. A round enqueues every contender in turn, enough runs for 20 ms, between two events;
ratios are taken within a round. With --from-host a run is one call from pinned host memory to outputs in host memory, by the clock.
Every case has a process of its own, so an error that stays in CUDA ends with the case. OUT.json is rewritten after every case; --resume
keeps what it holds without errors, of the same GPU, versions and options. --device cpu only shows that the script works: no graph, no
events, one contender of the engine.
Exit status 1 where a case has errors, 77 where Python has no PyTorch.
"""

import argparse
import contextlib
import ctypes
import itertools
import json
import multiprocessing
import statistics
import struct
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

try:
    import torch
except (ImportError, OSError) as error:  # OSError: a library of it is missing
    print(f"skipped: no PyTorch ({error})")
    sys.exit(77)

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
LIBRARIES = "cudnn,cublaslt"
WORST_RELATIVE_L2 = {"fp32": 1e-5, "tf32": 1e-2, "fp16": 1e-2, "bf16": 5e-2}  # as in tests/gpu/network_tests.cpp
CONTENDERS = ["ours", "ours-libraries", "eager", "compile"]
ROUND_US = 20_000
BATCHES_OF_INPUT = 8


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("device", ctypes.c_char_p), ("precision", ctypes.c_char_p),
                ("threads", ctypes.c_int32), ("deterministic", ctypes.c_int32), ("force", ctypes.c_char_p),
                ("forbid", ctypes.c_char_p)]


class Engine:
    """The engine's C interface."""

    def __init__(self, library):
        self.lib = ctypes.CDLL(str(Path(library).resolve()))
        self.lib.rne_last_error.restype = ctypes.c_char_p
        self.lib.rne_version.restype = ctypes.c_char_p
        self.lib.rne_session_describe.restype = ctypes.c_char_p
        self.lib.rne_session_describe.argtypes = [ctypes.c_void_p]
        sizes = [ctypes.c_int64] * 3
        run = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, *sizes, ctypes.c_void_p]
        self.lib.rne_session_run.argtypes = run
        self.lib.rne_session_enqueue.argtypes = [*run, ctypes.c_void_p]
        self.lib.rne_model_free.argtypes = [ctypes.c_void_p]

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.lib.rne_last_error().decode())

    def session(self, model_path, device, precision, force=None, forbid=None):
        model, session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.lib.rne_model_load(str(model_path).encode(), ctypes.byref(model)))
        options = SessionOptions(ctypes.sizeof(SessionOptions), device.encode(), precision.encode(), 0, 0,
                                 *(names and names.encode() for names in (force, forbid)))
        try:
            self.check(self.lib.rne_session_create_with(model, ctypes.byref(options), ctypes.byref(session)))
        finally:
            self.lib.rne_model_free(model)
        return session

    def run(self, session, x, y):
        """From and to host memory."""
        n, h, w, _ = x.shape
        self.check(self.lib.rne_session_run(session, x.data_ptr(), 0, 0, n, h, w, y.data_ptr()))

    def enqueue(self, session, x, y, stream):
        n, h, w, _ = x.shape
        self.check(self.lib.rne_session_enqueue(session, x.data_ptr(), 0, 0, n, h, w, y.data_ptr(), stream))

    def implementations(self, session):
        """How many layers each implementation of the session's plan computes."""
        counts = {}
        for step in json.loads(self.lib.rne_session_describe(session))["steps"]:
            counts[step["implementation"]] = counts.get(step["implementation"], 0) + 1
        return counts


def read_model(path):
    """Layers, output's name and tensors of a .rne file, which is a safetensors file of float32 values."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    graph = json.loads(header.pop("__metadata__")["resnet_engine.graph"])
    tensors = {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        values = torch.frombuffer(bytearray(data[8 + size + begin:8 + size + end]), dtype=torch.float32)
        tensors[name] = values.reshape(info["shape"])
    return graph, tensors


class Network(torch.nn.Module):
    """The layers of a .rne file as PyTorch modules, in their order."""

    def __init__(self, graph, tensors):
        super().__init__()
        self.layers = [layer for layer in graph["layers"] if layer["op"] != "input"]
        self.input_name = next(layer["name"] for layer in graph["layers"] if layer["op"] == "input")
        self.output = graph["output"]
        self.parts = torch.nn.ModuleList([self.module(layer, tensors) for layer in self.layers])

    @staticmethod
    def module(layer, tensors):
        nn, attrs = torch.nn, layer.get("attrs", {})
        weights = {role: tensors[name] for role, name in layer.get("weights", {}).items()}
        pads = attrs.get("pads", [0, 0, 0, 0])
        if pads[:2] != pads[2:]:
            raise ValueError(f"{layer['name']}: a pad of {pads} is not symmetric")
        if layer["op"] == "conv2d":
            k, r, s, c = weights["weight"].shape
            groups = attrs.get("groups", 1)
            part = nn.Conv2d(c * groups, k, (r, s), attrs.get("stride", 1), pads[:2], attrs.get("dilation", 1), groups,
                             "bias" in weights)
            part.weight.data = weights["weight"].permute(0, 3, 1, 2).contiguous()
        elif layer["op"] == "batch_norm":
            part = nn.BatchNorm2d(len(weights["gamma"]), attrs["eps"])
            part.weight.data = weights["gamma"]
            part.bias.data, part.running_mean, part.running_var = weights["beta"], weights["mean"], weights["var"]
            return part
        elif layer["op"] == "dense":
            part = nn.Linear(*reversed(weights["weight"].shape), "bias" in weights)
            part.weight.data = weights["weight"]
        else:
            simple = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "flatten": nn.Flatten,
                      "global_avg_pool": lambda: nn.AdaptiveAvgPool2d(1), "add": nn.Identity, "mul": nn.Identity,
                      "max_pool": lambda: nn.MaxPool2d(attrs["kernel"], attrs["stride"], pads[:2])}
            return simple[layer["op"]]()
        if "bias" in weights:
            part.bias.data = weights["bias"]
        return part

    def forward(self, x):
        values = {self.input_name: x}
        for layer, part in zip(self.layers, self.parts):
            inputs = [values[name] for name in layer["inputs"]]
            if layer["op"] == "add":
                values[layer["name"]] = inputs[0] + inputs[1]
            elif layer["op"] == "mul":
                values[layer["name"]] = inputs[0] * inputs[1]
            else:
                values[layer["name"]] = part(inputs[0])
        return values[self.output]


def compile_once(function, x):
    """`function` compiled for inputs like x and no others: never another shape's code, never uncompiled."""
    from torch import _dynamo as dynamo
    dynamo.reset()
    dynamo.utils.counters.clear()
    if hasattr(dynamo.config, "fail_on_recompile_limit_hit"):
        dynamo.config.fail_on_recompile_limit_hit = True
    compiled = torch.compile(function, mode="max-autotune", dynamic=False)
    with torch.inference_mode():
        compiled(x)
    if not dynamo.utils.counters["stats"]["unique_graphs"]:
        raise RuntimeError("torch.compile compiled nothing")
    return compiled


class Torch:
    """PyTorch on batches N x H x W x C of float32, eager or compiled."""

    def __init__(self, network, precision, batch, size, device, compiled):
        dtype = DTYPES[precision]
        module = network.eval().to(device=device, dtype=dtype).to(memory_format=torch.channels_last)

        def forward(x):
            return module(x.permute(0, 3, 1, 2).to(dtype)).float()

        self.function = compile_once(forward, torch.zeros(batch, size, size, 3, device=device)) if compiled else forward
        self.graph = None
        if device == "cuda" and not compiled:
            self.input = torch.zeros(batch, size, size, 3, device=device)
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side), torch.inference_mode():
                for _ in range(3):
                    self.function(self.input)
            torch.cuda.current_stream().wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph), torch.inference_mode():
                self.output = self.function(self.input)

    def __call__(self, x):
        if self.graph is not None:
            self.input.copy_(x)
            self.graph.replay()
            return self.output
        with torch.inference_mode():
            return self.function(x)


class Ours:
    def __init__(self, engine, path, precision, device, libraries, batch, outputs):
        self.engine, self.device = engine, device
        names = {} if device == "cpu" else {"force": LIBRARIES} if libraries else {"forbid": f"{LIBRARIES},cudnn_exact"}
        self.session = engine.session(path, device, precision, **names)
        self.output = torch.empty(batch, outputs, device=device)
        self.host_output = torch.empty(batch, outputs)

    def __call__(self, x):
        if self.device == "cuda":
            self.engine.enqueue(self.session, x, self.output, torch.cuda.current_stream().cuda_stream)
        else:
            self.engine.run(self.session, x, self.output)
        return self.output

    def from_host(self, x):
        self.engine.run(self.session, x, self.host_output)
        return self.host_output


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def time_runs(call, inputs, runs, device):
    """us of each of `runs` calls in a row."""
    if device == "cuda":
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for i in range(runs):
            call(inputs[i % len(inputs)])
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e3 / runs
    start = time.perf_counter()
    for i in range(runs):
        call(inputs[i % len(inputs)])
    return (time.perf_counter() - start) * 1e6 / runs


def summary(times):
    return {"median_us": statistics.median(times), "min_us": min(times), "max_us": max(times)}


class ContenderError(Exception):
    """What went wrong, with the contender that it went wrong in."""

    def __init__(self, name, error):
        super().__init__(f"{type(error).__name__}: {error}"[:400])
        self.name = name


@contextlib.contextmanager
def blaming(name):
    try:
        yield
    except Exception as error:  # PyTorch, its compilers and the engine raise what they like
        raise ContenderError(name, error) from error


def measure(contenders, inputs, rounds, device):
    """Times of every contender, round by round, and the others' ratio to the first."""
    runs = {}
    for name, call in contenders.items():
        with blaming(name):
            for _ in range(3):
                call(inputs[0])
            synchronize(device)
            once = time_runs(call, inputs, 2, device)
            runs[name] = max(2, min(2000, int(ROUND_US / max(once, 1))))
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            with blaming(name):
                times[name].append(time_runs(call, inputs, runs[name], device))
    result = {name: summary(list_) for name, list_ in times.items()}
    if "ours" in times:
        for name in times:
            ratios = [theirs / ours for theirs, ours in zip(times[name], times["ours"])]
            result[name]["times_ours"] = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
    return result


def relative_l2(a, b):
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


class Case:
    """A network in a precision at a batch size: its inputs, the outputs in fp32, and what is measured of it."""

    def __init__(self, arguments, network, precision, batch):
        self.arguments, self.precision, self.batch = arguments, precision, batch
        self.entry = {"network": network, "precision": precision, "batch": batch, "errors": {}, "times": {}}
        self.path = arguments.models / f"{network}.rne"
        self.graph, self.tensors = read_model(self.path)
        self.engine = Engine(arguments.library)
        torch.backends.cudnn.benchmark = True
        generator = torch.Generator().manual_seed(batch)
        self.hosts = [torch.rand(batch, arguments.size, arguments.size, 3, generator=generator)
                      for _ in range(BATCHES_OF_INPUT if batch <= 32 else 2)]
        self.inputs = [host.to(arguments.device) for host in self.hosts]
        exact = Network(self.graph, self.tensors).eval().to(arguments.device)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        with torch.inference_mode():
            self.expected = exact(self.inputs[0].permute(0, 3, 1, 2)).float()
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"

    def contender(self, name):
        """Ready to be measured: its outputs are those of this network."""
        device = self.arguments.device
        if name.startswith("ours"):
            contender = Ours(self.engine, self.path, self.precision, device, name == "ours-libraries", self.batch,
                             self.expected.shape[1])
        else:
            contender = Torch(Network(self.graph, self.tensors), self.precision, self.batch, self.arguments.size, device,
                              name == "compile")
        error = relative_l2(contender(self.inputs[0]).clone(), self.expected)
        self.entry.setdefault("relative_l2", {})[name] = error
        if name.startswith("ours"):
            used = self.engine.implementations(contender.session)
            self.entry.setdefault("implementations", {})[name] = used
            if name == "ours-libraries" and not set(used) & set(LIBRARIES.split(",")):
                raise RuntimeError("no step of the plan is cuDNN's or cuBLASLt's")
        if not error < WORST_RELATIVE_L2[self.precision]:
            raise RuntimeError(f"the outputs are wrong: relative L2 {error:.2g}")
        return contender

    def run(self):
        """Of the contenders without errors. An error that stays in CUDA, or comes up while they are measured, is the last."""
        device, contenders = self.arguments.device, {}
        for name in self.arguments.contenders:
            try:
                with blaming(name):
                    contenders[name] = self.contender(name)
            except ContenderError as error:
                self.entry["errors"][name] = str(error)
                with blaming(name):
                    synchronize(device)
        self.entry["times"] = measure(contenders, self.inputs, self.arguments.rounds, device)
        if self.arguments.from_host:
            pinned = [host.pin_memory() if device == "cuda" else host for host in self.hosts]
            calls = {name: contender.from_host if name.startswith("ours")
                     else lambda x, contender=contender: contender(x.to(device, non_blocking=True)).cpu()
                     for name, contender in contenders.items()}
            self.entry["from_host"] = measure(calls, pinned, self.arguments.rounds, "cpu")


def run_case(arguments, *case):
    """The entry of one case."""
    entry = {**dict(zip(("network", "precision", "batch"), case)), "errors": {}, "times": {}}
    try:
        with blaming("inputs and outputs in fp32"):
            own = Case(arguments, *case)
        entry = own.entry
        own.run()
    except ContenderError as error:
        entry["errors"].setdefault(error.name, str(error))
        for name in arguments.contenders:
            if name not in entry["times"]:
                entry["errors"].setdefault(name, f"lost with {error.name}")
    return entry


def conditions(arguments):
    """What results depend on beside the case."""
    device = arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(f"PyTorch {torch.__version__} finds no GPU (built for CUDA {torch.version.cuda})")
    build = Path(__file__).with_name("build.txt")
    return {"engine": Engine(arguments.library).lib.rne_version().decode(),
            "build": build.read_text() if build.exists() else None, "torch": torch.__version__,
            "cudnn": torch.backends.cudnn.version(), "cuda": torch.version.cuda,
            "gpu": torch.cuda.get_device_name() if device == "cuda" else None, "rounds": arguments.rounds,
            "size": arguments.size, "from_host": arguments.from_host, "contenders": arguments.contenders}


def in_a_process(function, *arguments):
    """Forked, so PyTorch is imported once; this process must not use CUDA itself."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return pool.submit(function, *arguments).result()


def earlier_entries(path, result):
    """What an earlier run under the same conditions left without errors."""
    earlier = json.loads(path.read_text())
    changed = [key for key in result if key not in ("command", "entries") and earlier.get(key) != result[key]]
    if changed:
        sys.exit(f"--resume: {path} was measured with another {', '.join(changed)}; use another file")
    return [entry for entry in earlier["entries"] if not entry["errors"]]


def write(path, result):
    """Renamed into place: a process that is killed leaves a whole file."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result, indent=1))
    new.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--networks", type=names, default=["resnet50"])
    parser.add_argument("--precisions", type=names, default=["bf16"])
    parser.add_argument("--batches", type=lambda text: [int(n) for n in text.split(",")], default=[1, 8, 32, 128, 256])
    parser.add_argument("--contenders", type=names, default=CONTENDERS)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--from-host", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    arguments = parser.parse_args()
    for option, known in (("contenders", CONTENDERS), ("precisions", list(DTYPES))):
        unknown = [name for name in getattr(arguments, option) if name not in known]
        if unknown:
            parser.error(f"--{option}: {', '.join(unknown)}; there are {', '.join(known)}")
    try:
        result = {"command": " ".join(["network_bench.py", *sys.argv[2:]]), **in_a_process(conditions, arguments), "entries": []}
    except (RuntimeError, OSError) as error:
        sys.exit(str(error))
    if arguments.resume and arguments.out.exists():
        result["entries"] = earlier_entries(arguments.out, result)
    done = {(entry["network"], entry["precision"], entry["batch"]) for entry in result["entries"]}
    for case in itertools.product(arguments.networks, arguments.precisions, arguments.batches):
        if case in done:
            continue
        try:
            entry = in_a_process(run_case, arguments, *case)
        except BrokenProcessPool:
            entry = {**dict(zip(("network", "precision", "batch"), case)), "times": {},
                     "errors": dict.fromkeys(arguments.contenders, "the process died")}
        result["entries"].append(entry)
        write(arguments.out, result)
        shown = {name: f"{times['median_us']:.1f} us" for name, times in entry["times"].items()}
        print("{} {} batch {}:".format(*case), shown, entry["errors"] or "", flush=True)
    return int(any(entry["errors"] for entry in result["entries"]))


if __name__ == "__main__":
    sys.exit(main())
