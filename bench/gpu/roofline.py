#!/usr/bin/env python3
"""Least time of ResNet inference on one GPU: the larger of operations / peak and bytes / bandwidth, layer by layer.

    roofline.py [--depth 50] [--precision bf16] [--batch 1,32,256] [--fusion layer] [--layers] [--json]

Layers come from the block specification of ResNet v1.5 at 224x224 with 1000 classes; batch norm is folded. Fusion says what
one kernel covers:

  layer   a convolution with its epilogue (residual, activation); stem, max-pool, average pool and classifier are kernels
          of their own
  joined  the same with stem + max-pool, projection + the convolution that adds it, last convolution + average pool joined
  block   a whole residual block; halo reads are not counted

Every kernel reads its inputs and weights once and writes its output once. Peaks are those measured on an H200: a large copy
(bytes read plus bytes written) and a large matrix product; fp32 is the data sheet's.
"""

import argparse
import json
from dataclasses import dataclass, field

BLOCKS = {18: ("basic", (2, 2, 2, 2)), 34: ("basic", (3, 4, 6, 3)), 50: ("bottleneck", (3, 4, 6, 3)),
          101: ("bottleneck", (3, 4, 23, 3)), 152: ("bottleneck", (3, 8, 36, 3))}


@dataclass(frozen=True)
class Precision:
    bytes: int
    operations_per_s: float


H200 = {"fp32": Precision(4, 60e12), "tf32": Precision(4, 400e12), "fp16": Precision(2, 790e12),
        "bf16": Precision(2, 790e12), "int8": Precision(1, 1580e12)}
H200_BYTES_PER_S = 4.3e12


@dataclass
class Kernel:
    """Work of one kernel per image; `weights` once per batch. Sizes in elements."""
    name: str
    stage: str
    macs: int = 0
    read: int = 0
    written: int = 0
    weights: int = 0
    shape: dict = field(default_factory=dict)

    def bytes(self, batch, precision):
        size = H200[precision].bytes
        return (batch * (self.read + self.written) + self.weights) * size

    def floor_s(self, batch, precision):
        compute = 2 * self.macs * batch / H200[precision].operations_per_s
        return max(compute, self.bytes(batch, precision) / H200_BYTES_PER_S)


def convolution(name, stage, c, k, size, h, stride=1, residual=False):
    """A square convolution with `same`-like padding on an h x h input."""
    p = (h + stride - 1) // stride
    sampled = p if size == 1 else h  # a strided 1x1 filter touches only what it samples
    return Kernel(name, stage, macs=c * k * size * size * p * p, read=c * sampled * sampled + residual * k * p * p,
                  written=k * p * p, weights=c * k * size * size,
                  shape={"H": h, "C": c, "K": k, "R": size, "stride": stride, "P": p, "residual": residual})


def joined(name, kernels, read, written):
    return Kernel(name, kernels[0].stage, sum(k.macs for k in kernels), read, written, sum(k.weights for k in kernels))


def network(depth, fusion="layer"):
    """The kernels of one inference, in order."""
    kind, repeats = BLOCKS[depth]
    stem = convolution("stem", "stem", 3, 64, 7, 224, 2)
    pooled = 64 * 56 * 56
    if fusion == "layer":
        kernels = [stem, Kernel("max_pool", "stem", 0, stem.written, pooled)]
    else:
        kernels = [joined("stem+max_pool", [stem], stem.read, pooled)]
    h, c = 56, 64
    for index, (count, width) in enumerate(zip(repeats, (64, 128, 256, 512))):
        stage = f"conv{index + 2}"
        k = width * (4 if kind == "bottleneck" else 1)
        for block in range(count):
            stride = 2 if block == 0 and index > 0 else 1
            name = f"{stage}.{block}"
            if kind == "bottleneck":
                branch = [convolution(f"{name}.1x1", stage, c, width, 1, h),
                          convolution(f"{name}.3x3", stage, width, width, 3, h, stride)]
                p = branch[-1].shape["P"]
                branch.append(convolution(f"{name}.1x1_out", stage, width, k, 1, p, residual=True))
            else:
                branch = [convolution(f"{name}.3x3", stage, c, k, 3, h, stride)]
                p = branch[-1].shape["P"]
                branch.append(convolution(f"{name}.3x3_out", stage, k, k, 3, p, residual=True))
            projection = [convolution(f"{name}.projection", stage, c, k, 1, h, stride)] if c != k or stride != 1 else []
            if fusion == "block":
                kernels.append(joined(name, branch + projection, c * h * h, k * p * p))
            elif fusion == "joined" and projection:
                last = branch.pop()
                kernels += branch
                kernels.append(joined(last.name + "+projection", [last] + projection,
                                      last.read - k * p * p + projection[0].read, last.written))
            else:
                kernels += projection + branch
            h, c = p, k
    if fusion == "layer":
        kernels.append(Kernel("average_pool", "head", 0, c * h * h, c))
    else:
        kernels[-1].written = c
    kernels.append(Kernel("classifier", "head", c * 1000, c, 1000, c * 1000))
    return kernels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, choices=BLOCKS, default=50)
    parser.add_argument("--precision", choices=H200, default="bf16")
    parser.add_argument("--batch", default="1,32,256", help="comma separated")
    parser.add_argument("--fusion", choices=("layer", "joined", "block"), default="layer")
    parser.add_argument("--layers", action="store_true", help="one row per kernel")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    arguments = parser.parse_args()
    batches = [int(batch) for batch in arguments.batch.split(",")]
    kernels = network(arguments.depth, arguments.fusion)

    if arguments.json:
        print(json.dumps([{"name": k.name, "stage": k.stage, "macs": k.macs, "weights": k.weights, "shape": k.shape,
                           "floor_us": {b: k.floor_s(b, arguments.precision) * 1e6 for b in batches},
                           "bytes": {b: k.bytes(b, arguments.precision) for b in batches}} for k in kernels], indent=1))
        return
    print(f"ResNet-{arguments.depth}, {arguments.precision}, one kernel per {arguments.fusion}: {len(kernels)} kernels, "
          f"{sum(k.macs for k in kernels) / 1e9:.3f} GMAC per image, {sum(k.weights for k in kernels) / 1e6:.2f} M weights")
    header = "| kernel | GMAC per image |" + "".join(f" floor at {b}, us |" for b in batches)
    print(header + "\n|---|---:|" + "---:|" * len(batches))
    rows = kernels if arguments.layers else []
    for kernel in rows:
        print(f"| {kernel.name} | {kernel.macs / 1e9:.3f} |"
              + "".join(f" {kernel.floor_s(b, arguments.precision) * 1e6:.2f} |" for b in batches))
    totals = [sum(k.floor_s(b, arguments.precision) for k in kernels) for b in batches]
    print(f"| sum | {sum(k.macs for k in kernels) / 1e9:.3f} |" + "".join(f" {t * 1e6:.1f} |" for t in totals))
    print("| images/s | |" + "".join(f" {b / t:,.0f} |" for b, t in zip(batches, totals)))


if __name__ == "__main__":
    main()
