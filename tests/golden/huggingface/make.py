"""Makes this folder: narrow ResNetForImageClassification models as save_pretrained writes them, and their logits.

pip install torch==2.15.0 transformers==5.24.0 numpy==2.4.6, then: python tests/golden/huggingface/make.py
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
from narrow_nets import save_logits, settle  # noqa: E402

CLASSES = 16


def main():
    torch.manual_seed(3)
    torch.set_num_threads(1)
    labels = {i: f"class {i}" for i in range(CLASSES)}
    common = dict(embedding_size=8, id2label=labels, label2id={v: k for k, v in labels.items()})
    configs = {
        "basic": ResNetConfig(layer_type="basic", hidden_sizes=[8, 8, 12], depths=[1, 2, 1], **common),
        "bottleneck": ResNetConfig(layer_type="bottleneck", hidden_sizes=[16, 24, 32], depths=[1, 2, 1],
                                   **common),
        "bottleneck_v1": ResNetConfig(layer_type="bottleneck", hidden_sizes=[16, 24, 32], depths=[2, 1, 1],
                                      downsample_in_bottleneck=True, **common),
        "first_stage": ResNetConfig(layer_type="basic", hidden_sizes=[8, 16], depths=[2, 1],
                                    downsample_in_first_stage=True, **common),
    }
    x = torch.randn(2, 3, 33, 26)
    np.save(HERE / "x.npy", x.numpy())
    for name, config in configs.items():
        net = settle(ResNetForImageClassification(config), size=64)
        net.save_pretrained(HERE / name, max_shard_size="20KB" if name == "bottleneck" else "1GB")
        ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875, resample=3).save_pretrained(HERE / name)
        save_logits(HERE / f"{name}.y.npy", net, x)


if __name__ == "__main__":
    main()
