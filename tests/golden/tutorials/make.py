"""Makes this folder: narrow ResNets under the names that tutorials and CIFAR repositories use, and PyTorch's logits.

pip install torch==2.15.0 safetensors==0.8.0 numpy==2.4.6, then: python tests/golden/tutorials/make.py
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
from narrow_nets import save_half, save_logits, settle  # noqa: E402

CLASSES = 16


class CifarBlock(nn.Module):
    """shortcut.0 and shortcut.1; a bottleneck has a third convolution."""

    def __init__(self, inputs, planes, stride, bottleneck):
        super().__init__()
        outputs = planes * (4 if bottleneck else 1)
        first = 1 if bottleneck else 3
        self.conv1 = nn.Conv2d(inputs, planes, first, 1 if bottleneck else stride, first // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride if bottleneck else 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(F.relu(y)))
        return F.relu(y + self.shortcut(x))


class Cifar(nn.Module):
    """3x3 stem of stride 1, no max pool, average pool 4x4 or whatever the last stage leaves of 32x32."""

    def __init__(self, blocks, planes, bottleneck=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, planes, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        inputs = planes
        for stage, count in enumerate(blocks):
            layers = []
            for block in range(count):
                layers.append(CifarBlock(inputs, planes << stage, 2 if stage and not block else 1, bottleneck))
                inputs = (planes << stage) * (4 if bottleneck else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.stages = len(blocks)
        self.linear = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        x = F.avg_pool2d(x, 32 >> (self.stages - 1))
        return self.linear(x.view(x.size(0), -1))


class PreActBlock(nn.Module):
    """v2: batch norm and ReLU first; the shortcut projects the activated input, without batch norm."""

    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        if stride != 1 or inputs != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, planes, 1, stride, bias=False))

    def forward(self, x):
        activated = F.relu(self.bn1(x))
        shortcut = self.shortcut(activated) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(activated)))) + shortcut


class PreActCifar(nn.Module):
    def __init__(self, planes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, planes, 3, 1, 1, bias=False)
        self.layer1 = nn.Sequential(PreActBlock(planes, planes, 1))
        self.layer2 = nn.Sequential(PreActBlock(planes, 2 * planes, 2), PreActBlock(2 * planes, 2 * planes, 1))
        self.linear = nn.Linear(2 * planes, CLASSES)

    def forward(self, x):
        x = self.layer2(self.layer1(self.conv1(x)))
        return self.linear(F.avg_pool2d(x, 16).flatten(1))


class SequentialBlock(nn.Module):
    """conv1 and conv2 are Sequentials of biased convolution, batch norm and ReLU."""

    def __init__(self, inputs, outputs, stride, downsample):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs))
        self.downsample = downsample

    def forward(self, x):
        return F.relu(self.conv2(self.conv1(x)) + (x if self.downsample is None else self.downsample(x)))


class FromZero(nn.Module):
    """Stages layer0 to layer3, everything biased."""

    def __init__(self, blocks, planes):
        super().__init__()
        self.inputs = planes
        self.conv1 = nn.Sequential(nn.Conv2d(3, planes, 7, 2, 3), nn.BatchNorm2d(planes), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer0 = self.stage(planes, blocks[0], 1)
        self.layer1 = self.stage(2 * planes, blocks[1], 2)
        self.layer2 = self.stage(2 * planes, blocks[2], 2)
        self.layer3 = self.stage(4 * planes, blocks[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * planes, CLASSES)

    def stage(self, outputs, count, stride):
        downsample = None
        if stride != 1 or self.inputs != outputs:
            downsample = nn.Sequential(nn.Conv2d(self.inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        layers = [SequentialBlock(self.inputs, outputs, stride, downsample)]
        self.inputs = outputs
        return nn.Sequential(*layers, *(SequentialBlock(outputs, outputs, 1, None) for _ in range(count - 1)))

    def forward(self, x):
        x = self.maxpool(self.conv1(x))
        x = self.layer3(self.layer2(self.layer1(self.layer0(x))))
        return self.fc(self.avgpool(x).flatten(1))


class IdentityDownsample(nn.Module):
    """Bottlenecks with identity_downsample and batch_norm1 ..., stage names from layer1."""

    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1)
        self.batch_norm1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1)
        self.batch_norm2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 4, 1)
        self.batch_norm3 = nn.BatchNorm2d(planes * 4)
        self.identity_downsample = None
        if stride != 1 or inputs != planes * 4:
            self.identity_downsample = nn.Sequential(nn.Conv2d(inputs, planes * 4, 1, stride),
                                                     nn.BatchNorm2d(planes * 4))

    def forward(self, x):
        y = F.relu(self.batch_norm1(self.conv1(x)))
        y = F.relu(self.batch_norm2(self.conv2(y)))
        y = self.batch_norm3(self.conv3(y))
        return F.relu(y + (x if self.identity_downsample is None else self.identity_downsample(x)))


class ConvX(nn.Module):
    """conv2_x ..., residual_function, shortcut: a stem that is a Sequential too."""

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.residual_function = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
                nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
            self.shortcut = nn.Sequential()
            if stride != 1 or inputs != outputs:
                self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                              nn.BatchNorm2d(outputs))

        def forward(self, x):
            return F.relu(self.residual_function(x) + self.shortcut(x))

    def __init__(self, planes):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, planes, 3, 1, 1, bias=False), nn.BatchNorm2d(planes), nn.ReLU())
        self.conv2_x = nn.Sequential(self.Block(planes, planes, 1))
        self.conv3_x = nn.Sequential(self.Block(planes, 2 * planes, 2), self.Block(2 * planes, 2 * planes, 1))
        self.conv4_x = nn.Sequential(self.Block(2 * planes, 2 * planes, 2))
        self.conv5_x = nn.Sequential(self.Block(2 * planes, 3 * planes, 2))
        self.fc = nn.Linear(3 * planes, CLASSES)

    def forward(self, x):
        x = self.conv5_x(self.conv4_x(self.conv3_x(self.conv2_x(self.conv1(x)))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Tutorial(nn.Module):
    def __init__(self, planes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, planes, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.layer1 = nn.Sequential(IdentityDownsample(planes, 4, 1), IdentityDownsample(16, 4, 1))
        self.layer2 = nn.Sequential(IdentityDownsample(16, 6, 2))
        self.layer3 = nn.Sequential(IdentityDownsample(24, 8, 2))
        self.fc = nn.Linear(32, CLASSES)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def main():
    torch.manual_seed(2)
    torch.set_num_threads(1)
    nets = {
        "cifar_basic": Cifar([1, 2, 1], 4),
        "cifar_bottleneck": Cifar([1, 1, 1, 1], 2, bottleneck=True),
        "cifar_preact": PreActCifar(4),
        "from_zero": FromZero([1, 2, 1, 1], 4),
        "conv_x": ConvX(4),
        "identity_downsample": Tutorial(8),
    }
    x = torch.randn(2, 3, 32, 32)
    np.save(HERE / "x.npy", x.numpy())
    for name, net in nets.items():
        settle(net)
        save_half(HERE / f"{name}.safetensors", net)
        save_logits(HERE / f"{name}.y.npy", net, x)


if __name__ == "__main__":
    main()
