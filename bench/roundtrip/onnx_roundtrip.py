"""torchvision's networks through both ONNX exporters of PyTorch and resnet_convert, against ONNX Runtime.

pip install torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
python bench/roundtrip/onnx_roundtrip.py [NAME ...]     Markdown on stdout; RESNET_BIN names the tools' folder

Weights are random, statistics settled: nothing is downloaded.
"""

import contextlib
import io
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchvision
from roundtrip import convert, inspect, verify

HEADER = ("| network | exporter | operators | parameters | relative L2 | same arg-max | convert | peak | ONNX Runtime loads |\n"
          "|---|---|---|---|---|---|---|---|---|")
IMAGES = 2
# network -> (exporter, operator set)
EXPORTS = {
    "resnet18": [("unfolded", 7), ("unfolded", 9), ("legacy", 11), ("legacy", 13), ("legacy", 17), ("legacy", 20),
                 ("dynamo", 18), ("dynamo", 20), ("dynamo", 23), ("dynamo, external data", 18)],
    "resnet50": [("unfolded", 9), ("legacy", 13), ("legacy", 17), ("dynamo", 18), ("dynamo, external data", 20)],
    "resnet152": [("unfolded", 13), ("legacy", 17), ("dynamo", 20)],
    "resnext50_32x4d": [("unfolded", 11), ("legacy", 17), ("dynamo", 20)],
    "wide_resnet50_2": [("unfolded", 14), ("legacy", 17), ("dynamo", 23)],
}


def settled(name):
    """Weights and batch-norm statistics in which every factor counts."""
    torch.manual_seed(5)
    net = getattr(torchvision.models, name)()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    net.train()
    with torch.no_grad():
        for _ in range(6):
            net(torch.randn(4, 3, 96, 96) * 1.5 + 0.2)
    return net.eval()


def export(net, exporter, opset, path):
    x = torch.zeros(IMAGES, 3, 224, 224)
    with contextlib.redirect_stdout(io.StringIO()):
        if exporter.startswith("dynamo"):
            batch = torch.export.Dim("n", min=1, max=64)
            torch.onnx.export(net, (x,), path, opset_version=opset, dynamo=True, dynamic_shapes=({0: batch},), verbose=False,
                              external_data="external" in exporter)
            return
        options = {}
        if exporter == "unfolded":
            options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        torch.onnx.export(net, x, path, opset_version=opset, dynamo=False, input_names=["input"],
                          dynamic_axes={"input": {0: "n"}}, **options)


def run(path, x):
    """Seconds until the session is ready, and its outputs."""
    begin = time.perf_counter()
    session = onnxruntime.InferenceSession(path)
    seconds = time.perf_counter() - begin
    return seconds, session.run(None, {session.get_inputs()[0].name: x})[0]


def main(names):
    warnings.filterwarnings("ignore")
    print(HEADER, flush=True)
    x = np.random.default_rng(9).standard_normal((IMAGES, 3, 224, 224), dtype=np.float32)
    for name, exports in EXPORTS.items():
        if names and name not in names:
            continue
        net = settled(name)
        for exporter, opset in exports:
            folder = Path(tempfile.mkdtemp(prefix="roundtrip."))
            try:
                path = folder / "model.onnx"
                export(net, exporter, opset, path)
                loads, y = run(path, x)
                np.save(folder / "x.npy", x)
                np.save(folder / "y.npy", y)
                model = folder / "model.rne"
                seconds, peak = convert([path, "--allow-external-data"], model)
                report, equal = verify(model, folder / "x.npy", folder / "y.npy", "nchw")
                count = inspect(model)["parameters"]["total"]
                print(f"| {name} | {exporter} | {opset} | {count:,} | {report['output']['relative_l2']:.1e}"
                      f"{'' if equal else ' (!)'} | {report['same_class']} of {report['images']} | {seconds:.2f} s | "
                      f"{peak:.0f} MB | {loads:.2f} s |", flush=True)
            finally:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
