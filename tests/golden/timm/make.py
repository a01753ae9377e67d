"""Makes this folder: narrow networks of timm's own classes, and the logits that PyTorch computes with them.

pip install torch==2.15.0 timm==1.0.31 safetensors==0.8.0 numpy==2.4.6, then: python tests/golden/timm/make.py
"""

import sys
from pathlib import Path

import numpy as np
import timm
import torch
from timm.models.senet import SEResNetBlock, SEResNetBottleneck, SENet
from torch import nn

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
from narrow_nets import save_half, save_logits, settle  # noqa: E402

CLASSES = 16


def first_senet(block, blocks, planes):
    """The SENet of 2018 with `planes` channels in the stem instead of 64; blocks and forward are timm's."""
    net = SENet(block, [1, 1, 1, 1], groups=1, reduction=4, inplanes=planes, num_classes=CLASSES)
    net.layer0 = nn.Sequential()
    net.layer0.add_module("conv1", nn.Conv2d(3, planes, 7, 2, 3, bias=False))
    net.layer0.add_module("bn1", nn.BatchNorm2d(planes))
    net.layer0.add_module("relu1", nn.ReLU())
    net.inplanes = planes
    for stage, count in enumerate(blocks):
        layer = net._make_layer(block, planes=planes << min(stage, 1), blocks=count, stride=1 if stage == 0 else 2,
                                groups=1, reduction=4, downsample_kernel_size=1, downsample_padding=0)
        setattr(net, f"layer{stage + 1}", layer)
    net.last_linear = nn.Linear(2 * planes * block.expansion, CLASSES)
    return net


def main():
    torch.manual_seed(4)
    torch.set_num_threads(1)
    narrow = dict(num_classes=CLASSES, layers=(1, 1, 1, 1), channels=(8, 8, 8, 12), stem_width=4)
    bottleneck = dict(narrow, channels=(4, 4, 4, 6))
    v2 = dict(num_classes=CLASSES, layers=(1, 2, 1), stem_chs=8)
    nets = {
        "d_se": timm.create_model("resnet18d", block_args=dict(attn_layer="se"), **dict(narrow, layers=(1, 2, 1, 1))),
        "t": timm.create_model("resnet26t", **bottleneck),
        "s": timm.create_model("resnet50s", **bottleneck),
        "resnext_d": timm.create_model("resnext50d_32x4d", **dict(bottleneck, cardinality=2, base_width=64)),
        "eca_t": timm.create_model("ecaresnet26t", **bottleneck),
        "rs": timm.create_model("resnetrs50", **bottleneck),
        "blur": timm.create_model("resnetblur50d", **bottleneck),
        "blur_basic": timm.create_model("resnetblur50d", **dict(narrow, block=timm.models.resnet.BasicBlock)),
        "average": timm.create_model("resnetaa34d", **narrow),
        "v2_basic": timm.create_model("resnetv2_18", channels=(8, 16, 16), **v2),
        "v2_d": timm.create_model("resnetv2_50d", channels=(16, 32, 32), **v2),
        "first_senet": first_senet(SEResNetBlock, [1, 1, 1, 1], 6),
        "first_senet_bottleneck": first_senet(SEResNetBottleneck, [1, 2, 1, 1], 4),
    }
    x = torch.randn(1, 3, 40, 29)
    even = torch.randn(1, 3, 64, 32)  # average pools against aliasing need sizes that halve
    np.save(HERE / "x.npy", x.numpy())
    np.save(HERE / "even.npy", even.numpy())
    for name, net in nets.items():
        settle(net, size=64)
        save_half(HERE / f"{name}.safetensors", net)
        save_logits(HERE / f"{name}.y.npy", net, even if name == "average" else x)

    # A folder as timm lays it out for the hub: its config.json says what shapes cannot, and brings labels.
    net = nets["blur"].eval()
    net.pretrained_cfg.update(crop_pct=0.95, interpolation="bicubic", mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3),
                              input_size=(3, 160, 160))
    timm.models.save_for_hf(net, HERE / "hub", safe_serialization=True,
                            model_config={"label_names": [f"name {i}" for i in range(CLASSES)]})
    save_logits(HERE / "hub.y.npy", net, x)


if __name__ == "__main__":
    main()
