"""Makes this folder: narrow ResNets of torchvision's own classes, and what PyTorch computes with them on the CPU.

pip install torch==2.15.0 torchvision==0.29.2 numpy==2.4.6, then: python tests/golden/torch/make.py
"""

import os
import pickle
import struct
import tarfile
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

HERE = Path(__file__).parent
CLASSES = 10


def narrow(block, blocks, planes, groups=1, group_width=None):
    """A torchvision ResNet with `planes` channels in the stem instead of 64; forward and blocks are torchvision's."""
    net = ResNet(block, [1, 1, 1, 1])
    net.inplanes, net.groups = planes, groups
    net.base_width = 64 * (group_width or planes) // planes
    net.conv1 = torch.nn.Conv2d(3, planes, 7, stride=2, padding=3, bias=False)
    net.bn1 = torch.nn.BatchNorm2d(planes)
    for stage in range(4):
        layer = net._make_layer(block, planes << stage, blocks[stage], stride=1 if stage == 0 else 2)
        setattr(net, f"layer{stage + 1}", layer)
    net.fc = torch.nn.Linear(8 * planes * block.expansion, CLASSES)
    return net


def settle(net):
    """Weights and statistics in which every factor counts: no gamma is 1, no beta or mean 0, no variance 1."""
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    net.train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(8, 3, 64, 64) * 1.5 + 0.2)
    return net.eval()


torch.manual_seed(1)
torch.set_num_threads(1)
nets = {
    "basic": settle(narrow(BasicBlock, [1, 2, 1, 1], 8)),
    "bottleneck": settle(narrow(Bottleneck, [1, 1, 2, 1], 8, groups=2, group_width=4)),
}
x = torch.randn(2, 3, 61, 45)

# Channels that died in training: no weights, and a variance of zero or the smallest number there is.
nets["dead"] = settle(narrow(BasicBlock, [1, 1, 1, 1], 4))
with torch.no_grad():
    for conv, norm in ((nets["dead"].conv1, nets["dead"].bn1),
                       (nets["dead"].layer2[0].conv1, nets["dead"].layer2[0].bn1)):
        for channel, variance in ((1, 0.0), (2, 5.6e-45)):
            conv.weight[channel] = 0
            norm.running_mean[channel] = 0
            norm.running_var[channel] = variance

np.save(HERE / "x.npy", x.numpy())
for name, net in nets.items():
    torch.save(net.state_dict(), HERE / f"{name}.pth")
    with torch.no_grad():
        np.save(HERE / f"{name}.y.npy", net(x).numpy())

# The container before PyTorch 1.6, with a storage that two tensors share, one of them transposed.
shared = torch.arange(6, dtype=torch.float32).reshape(2, 3)
torch.save({"state_dict": {"w": shared, "w.t": shared.t(), "half": torch.arange(4, dtype=torch.float16) / 2,
                           "steps": torch.tensor(7)}, "epoch": 3},
           HERE / "legacy.pth", _use_new_zipfile_serialization=False)


def save_tar(state_dict, path):
    """What torch.save wrote before PyTorch 0.1.10: a tar file of four members. Nothing writes it any more, so this does,
    and torch.load must read it back."""

    def storage_of(tensor):
        return tensor.untyped_storage()._cdata

    tensors, storages = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        class Pickler(pickle.Pickler):
            def persistent_id(self, value):
                if not torch.is_tensor(value):
                    return None
                tensors[value._cdata] = value
                return str(value._cdata)

        with open(folder / "pickle", "wb") as f:
            Pickler(f, protocol=2).dump(state_dict)
        for tensor in tensors.values():
            storages[storage_of(tensor)] = tensor
        kinds = {torch.float32: ("FloatStorage", "FloatTensor"), torch.int64: ("LongStorage", "LongTensor")}

        def dump(f, *values):
            # The third value names a class of torch, which is written as pickle's GLOBAL.
            text = b"\x80\x02"
            for value in values[:2]:
                text += pickle.dumps(value, protocol=2)[2:-1]
            f.write(text + b"ctorch\n" + values[2].encode() + b"\n\x87.")

        with open(folder / "storages", "wb") as f:
            pickle.dump(len(storages) - 1, f, protocol=2)
            views = []
            for key, tensor in storages.items():
                if tensor is state_dict["view"]:  # a view of another storage is listed behind them
                    root = state_dict["w"]
                    views.append((key, storage_of(root), 2, 3))
                    continue
                dump(f, key, "cpu", kinds[tensor.dtype][0])
                flat = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
                f.write(struct.pack("<q", flat.numel()) + flat.numpy().tobytes())
            pickle.dump(views, f, protocol=2)
        with open(folder / "tensors", "wb") as f:
            pickle.dump(len(tensors), f, protocol=2)
            for key, tensor in tensors.items():
                dump(f, key, storage_of(tensor), kinds[tensor.dtype][1])
                f.write(struct.pack("<ii", tensor.dim(), 0))
                f.write(struct.pack(f"<{2 * tensor.dim()}q", *tensor.size(), *tensor.stride()))
                f.write(struct.pack("<q", tensor.storage_offset()))
        with open(folder / "sys_info", "wb") as f:
            pickle.dump({"protocol_version": 1000, "little_endian": True,
                         "type_sizes": {"short": 2, "int": 4, "long": 8}}, f, protocol=2)
        with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as tar:
            for name in ["sys_info", "pickle", "tensors", "storages"]:
                os.utime(folder / name, (1.5, 1.5))
                tar.add(folder / name, arcname=name)


w = torch.arange(6, dtype=torch.float32).reshape(2, 3)
old = OrderedDict(w=w, **{"w.t": w.t(), "steps": torch.tensor([7])}, view=torch.tensor([2.0, 3.0, 4.0]))
save_tar(old, HERE / "old.pth")
again = torch.load(HERE / "old.pth", weights_only=False)
assert all(torch.equal(again[name], value) for name, value in old.items())
