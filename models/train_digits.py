#!/usr/bin/env python3
"""Trains the default model: a small ResNet that reads handwritten digits.

Data: scikit-learn's bundled digits, 1797 pictures of 8x8 with values 0..16 (UCI Optical Recognition of Handwritten Digits,
test part). A fixed fifth, stratified by class, is held out: it is never trained on and decides nothing, neither the number
of epochs nor any setting of this file. What is drawn is light on dark.

A picture becomes (value * 255 + 8) // 16, uint8. The preset `gray-small` then resizes it to 32x32 with Pillow's bilinear
filter, divides by 255, subtracts 0.5 and divides by 0.5. This file does the same with Pillow itself, so that the network is
trained on what the engine yields.

Writes, below --out:
  digits.pth           state dict with torchvision's names, for resnet_convert
  digits_heldout.npy   held-out pictures, uint8, N x 8 x 8
  digits_heldout_labels.npy   their digits, uint8, N
  samples/*.png, *.jpg two held-out pictures of each digit at 32x32; the name says the true digit

    python models/train_digits.py --out build/digits
    build/bin/resnet_convert build/digits/digits.pth --arch models/recipes/digits.json --preset gray-small \\
        --labels models/labels/digits.txt -o models/digits.rne
"""

import argparse
import pathlib

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

SEED = 20250101
SIZE = 32
WIDTHS = (16, 32, 64)
EPOCHS = 60
BATCH = 64


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, as in torchvision's resnet.py."""

    def __init__(self, c, k, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c, k, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(k)
        self.conv2 = nn.Conv2d(k, k, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(k)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or c != k:
            self.downsample = nn.Sequential(nn.Conv2d(c, k, 1, stride, bias=False), nn.BatchNorm2d(k))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class DigitsNet(nn.Module):
    """One stem convolution, three residual blocks of 16, 32 and 64 channels, global average pool, ten classes."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(BasicBlock(WIDTHS[0], WIDTHS[0], 1))
        self.layer2 = nn.Sequential(BasicBlock(WIDTHS[0], WIDTHS[1], 2))
        self.layer3 = nn.Sequential(BasicBlock(WIDTHS[1], WIDTHS[2], 2))
        self.fc = nn.Linear(WIDTHS[2], 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def to_uint8(pictures):
    """Values 0..16 to 0..255, rounded."""
    return ((pictures.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)


def enlarge(picture):
    return Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def preprocess(pictures):
    """What the preset gray-small yields: N x 1 x 32 x 32, float32."""
    x = np.stack([np.asarray(enlarge(p)) for p in pictures])[:, None].astype(np.float32)
    return torch.from_numpy((x * np.float32(1 / 255) - np.float32(0.5)) / np.float32(0.5))


def augment(x, generator):
    """A random small rotation, scale and shift per picture; dark outside."""
    n = len(x)
    uniform = lambda low, high: torch.rand(n, generator=generator) * (high - low) + low
    angle, scale = uniform(-0.2, 0.2), uniform(0.85, 1.15)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = scale * angle.cos(), -scale * angle.sin(), uniform(-0.15, 0.15)
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, 2] = scale * angle.sin(), scale * angle.cos(), uniform(-0.15, 0.15)
    grid = nn.functional.affine_grid(theta, x.shape, align_corners=False)
    # grid_sample pads with 0, and dark is -1 here.
    return nn.functional.grid_sample(x + 1, grid, align_corners=False) - 1


def train(x, y):
    generator = torch.Generator().manual_seed(SEED)
    model = DigitsNet()
    steps = EPOCHS * -(-len(x) // BATCH)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.1, total_steps=steps)
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for index in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(model(augment(x[index], generator)), y[index], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(index)
        print(f"epoch {epoch + 1}/{EPOCHS}: training loss {total / len(x):.4f}", flush=True)
    return model.eval()


def save_samples(folder, pictures, labels):
    """The first two held-out pictures of each digit as PNG, and one more as JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    for digit in range(10):
        first, second = np.flatnonzero(labels == digit)[:2]
        enlarge(pictures[first]).save(folder / f"digit{digit}_a.png", optimize=True)
        enlarge(pictures[second]).save(folder / f"digit{digit}_b.png", optimize=True)
    third = np.flatnonzero(labels == 7)[2]
    enlarge(pictures[third]).save(folder / "digit7_c.jpg", quality=90)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for everything that is written")
    arguments = parser.parse_args()

    # One thread and deterministic kernels: sums in one order, so that a second run gives the same file.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    digits = load_digits()
    train_pictures, held_pictures, train_labels, held_labels = train_test_split(
        to_uint8(digits.images), digits.target, test_size=0.2, random_state=SEED, stratify=digits.target)
    model = train(preprocess(train_pictures), torch.from_numpy(train_labels))
    with torch.no_grad():
        right = int((model(preprocess(held_pictures)).argmax(1).numpy() == held_labels).sum())
    print(f"held out: {right} of {len(held_labels)} right, {100 * right / len(held_labels):.2f} %")
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")

    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), arguments.out / "digits.pth")
    np.save(arguments.out / "digits_heldout.npy", held_pictures)
    np.save(arguments.out / "digits_heldout_labels.npy", held_labels.astype(np.uint8))
    save_samples(arguments.out / "samples", held_pictures, held_labels)


if __name__ == "__main__":
    main()
