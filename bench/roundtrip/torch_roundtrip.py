"""Full-size networks of torchvision, timm and transformers: saved by the framework, converted, run, compared.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31 transformers==5.24.0 safetensors==0.8.0 numpy==2.4.6
    python bench/roundtrip/torch_roundtrip.py [NAME ...]     Markdown on stdout; RESNET_BIN names the tools' folder

Nothing is downloaded: weights are random, with batch norm statistics that settled on random pictures, so that every
factor of every layer counts.
"""

import gc
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).parent))
import roundtrip  # noqa: E402

PICTURES = 2
TIMM = ["resnet10t", "resnet18d", "resnet26t", "resnet50c", "resnet50d", "resnet50s", "resnet50t", "resnext50d_32x4d",
        "seresnet50", "seresnext26d_32x4d", "resnetblur50", "resnetaa50", "resnetaa34d", "resnetrs50", "resnetv2_18",
        "resnetv2_50", "resnetv2_50d", "wide_resnet50_2", "legacy_seresnet18", "legacy_seresnet50", "senet154",
        "ecaresnet26t", "ecaresnet50d"]
HUGGING_FACE = {
    "resnet-18": dict(layer_type="basic", hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2]),
    "resnet-50": dict(),
    "resnet-50, downsample_in_bottleneck": dict(downsample_in_bottleneck=True),
    "resnet-101": dict(depths=[3, 4, 23, 3]),
    "resnet-26 tiny, downsample_in_first_stage": dict(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512],
                                                      downsample_in_first_stage=True),
}


def settle(net, size):
    """Statistics of random pictures, layer by layer, and betas and gammas that differ. Residual branches end in small
    scales, as trained ones do: otherwise rounding errors grow from block to block, in the framework's own results too.
    """
    names = {name for name, _ in net.named_modules()}
    ends = set()
    for name in names:
        prefix, _, last = name.rpartition(".")
        wanted = {"bn3": True, "bn2": f"{prefix}.bn3" not in names, "layer": False,
                  "conv3": f"{prefix}.norm3" in names, "conv2": f"{prefix}.norm2" in names and
                  f"{prefix}.conv3" not in names}
        if wanted.get(last) and name.startswith(("layer", "stages")):
            ends.add(name)
        if name.endswith("normalization") and ".layers." in name and "shortcut" not in name:
            number = int(name.split(".")[-2])
            if name.replace(f".layer.{number}.", f".layer.{number + 1}.") not in names:
                ends.add(name)
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.6, 1.2)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            module.momentum = None  # the plain mean over all batches
        if name in ends:
            with torch.no_grad():
                module.weight.mul_(0.15)
    net.train()
    with torch.no_grad():
        net(torch.randn(4, 3, size, size))
    return net.eval()


def outputs(net, x):
    with torch.no_grad():
        y = net(x)
    return (y.logits if hasattr(y, "logits") else y).numpy()


def check(family, name, net, save):
    """save(net, folder) -> (source for resnet_convert, function that loads it in the framework)"""
    settle(net, 96)
    x = torch.randn(PICTURES, 3, 224, 224, generator=torch.Generator().manual_seed(7))
    expected = outputs(net, x)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        source, load = save(net, folder)
        begin = time.perf_counter()
        load()
        seconds = time.perf_counter() - begin
        np.save(folder / "x.npy", x.numpy())
        np.save(folder / "y.npy", expected)
        print(roundtrip.row(family, name, [source], folder, "nchw", seconds), flush=True)
    gc.collect()


def save_state_dict(net, folder):
    torch.save(net.state_dict(), folder / "net.pth")
    return folder / "net.pth", lambda: net.load_state_dict(torch.load(folder / "net.pth", weights_only=True))


def save_timm_folder(net, folder):
    import timm
    from safetensors.torch import load_file
    timm.models.save_for_hf(net, folder, safe_serialization=True)
    return folder, lambda: net.load_state_dict(load_file(folder / "model.safetensors"))


def save_pretrained(net, folder):
    net.save_pretrained(folder)
    return folder, lambda: type(net).from_pretrained(folder)


def save_under_other_names(net, folder):
    """Source model 2 (docs/models.md): two-convolution blocks whose keys nobody knows."""
    words = {"conv1": "first", "bn1": "first_norm", "conv2": "second", "bn2": "second_norm", "fc": "out",
             "downsample": "match"}

    def other(key):
        return ".".join(words.get(part, part.replace("layer", "group")) for part in key.split("."))

    path = folder / "model.pth"
    torch.save({other(key): value for key, value in net.state_dict().items()}, path)
    return path, lambda: torch.load(path, weights_only=True)


def main():
    wanted = set(sys.argv[1:])
    torch.manual_seed(5)
    torch.set_num_threads(2)
    if not wanted:
        print(roundtrip.HEADER, flush=True)
    import torchvision
    for name in ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
                 "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]:
        if not wanted or name in wanted:
            check("torchvision", name, getattr(torchvision.models, name)(weights=None), save_state_dict)
    if not wanted or "source model 2" in wanted:
        from torchvision.models.resnet import BasicBlock, ResNet
        check("PyTorch, unknown names", "source model 2 (blocks 3, 4, 6, 3)", ResNet(BasicBlock, [3, 4, 6, 3]),
              save_under_other_names)
        check("PyTorch, unknown names", "source model 2 (blocks 1, 2, 2, 1)", ResNet(BasicBlock, [1, 2, 2, 1]),
              save_under_other_names)
    import timm
    for name in TIMM:
        if not wanted or name in wanted:
            check("timm", name, timm.create_model(name), save_timm_folder)
    from transformers import ResNetConfig, ResNetForImageClassification
    for name, config in HUGGING_FACE.items():
        if not wanted or name in wanted:
            check("Hugging Face", name, ResNetForImageClassification(ResNetConfig(num_labels=1000, **config)),
                  save_pretrained)


if __name__ == "__main__":
    main()
