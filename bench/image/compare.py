#!/usr/bin/env python3
"""Preprocessing of one 12-megapixel JPEG: this library against Pillow + torchvision, in alternation, one thread each.

    pip install pillow==13.0.0 numpy torch torchvision
    python bench/image/compare.py build/bin/image_preprocess_bench [PICTURE] [--rounds 15] [--json FILE]

Both must give the same tensor, bit for bit. Without PICTURE one is made: 4000 x 3000, 4:2:0, quality 88, about 2.6 MB.
Prints a markdown table; the ratio is the median of the rounds' ratios (theirs / ours, above 1 = this library is faster).
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms


def photograph(path):
    """Noise on several scales, as in photographs."""
    rng = np.random.default_rng(0)
    height, width = 3000, 4000
    total = np.full((height, width, 3), 128, np.float32)
    for scale, amplitude in ((8, 60), (32, 40), (128, 25), (512, 14), (1500, 8)):
        grid = rng.standard_normal((scale * 3 // 4 + 1, scale, 3)).astype(np.float32)
        for c in range(3):
            plane = Image.fromarray(np.ascontiguousarray(grid[:, :, c])).resize((width, height), Image.BICUBIC)
            total[:, :, c] += amplitude * np.asarray(plane)
    total += 3 * rng.standard_normal(total.shape).astype(np.float32)
    Image.fromarray(np.clip(total, 0, 255).astype(np.uint8)).save(path, quality=88, subsampling=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the built image_preprocess_bench")
    parser.add_argument("picture", nargs="?")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", help="also write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
                                   transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    with tempfile.TemporaryDirectory() as folder:
        picture = arguments.picture
        if not picture:
            picture = str(Path(folder) / "12mp.jpg")
            photograph(picture)
        written = Path(folder) / "ours.f32"
        ours_process = subprocess.Popen([arguments.program, picture, str(written)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def ours():
            ours_process.stdin.write("\n")
            ours_process.stdin.flush()
            return float(ours_process.stdout.readline())

        def theirs():
            start = time.perf_counter()
            with Image.open(picture) as image:
                theirs.tensor = pipeline(image.convert("RGB"))
            return (time.perf_counter() - start) * 1e3

        ours(), theirs()  # warm-up
        times = []
        for index in range(arguments.rounds):
            times.append((ours(), theirs()) if index % 2 == 0 else tuple(reversed((theirs(), ours()))))
        ours_process.stdin.close()
        if ours_process.wait() != 0:
            sys.exit("image_preprocess_bench failed")
        equal = written.read_bytes() == theirs.tensor.numpy().tobytes()
        size = "x".join(map(str, Image.open(picture).size))
    mine, other = (statistics.median(t) for t in zip(*times))
    ratio = statistics.median(b / a for a, b in times)
    spread = [min(b / a for a, b in times), max(b / a for a, b in times)]
    print(f"JPEG {size}, {arguments.rounds} alternating rounds, one thread each; tensors bit-equal: {'yes' if equal else 'NO'}\n")
    print("| program | median ms |\n|---|---|")
    print(f"| this library | {mine:.1f} |")
    print(f"| Pillow {PIL.__version__} + torchvision {torchvision.__version__} | {other:.1f} |")
    print(f"\nratio {ratio:.2f} (rounds {spread[0]:.2f} to {spread[1]:.2f})")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"picture": size, "rounds": arguments.rounds, "bit_equal": equal,
                                                    "ours_ms": mine, "pillow_torchvision_ms": other, "ratio": ratio,
                                                    "ratio_range": spread}, indent=1) + "\n")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
