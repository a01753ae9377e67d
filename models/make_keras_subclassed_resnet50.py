"""Writes recipes/keras-subclassed-resnet50.json: a ResNet-50 whose class wraps a functional model, so that its JSON
holds no layers. Layers stand in the order in which Keras counts them in weight files.

python models/make_keras_subclassed_resnet50.py
"""

import json
from pathlib import Path

CLASSES = 47
layers = []


def add(name, op, inputs, attrs=None, weights=None):
    layer = {"name": name, "op": op}
    if inputs:
        layer["inputs"] = inputs
    if attrs:
        layer["attrs"] = attrs
    if weights:
        layer["weights"] = {role: f"{name}/{key}" for role, key in weights.items()}
    layers.append(layer)
    return name


def conv(name, x, stride=1, padding="valid"):
    return add(name, "conv2d", [x], {"stride": [stride, stride], "padding": padding},
               {"weight": "kernel", "bias": "bias"})


def norm(name, x):
    return add(name, "batch_norm", [x], {"eps": 0.001},
               {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "var": "moving_variance"})


def relu(name, x):
    return add(name, "relu", [x])


def block(x, stage, letter, stride, projects):
    """Strides in the 1x1; sections are 1a 1b 1c and 1d (shortcut), or 2a 2b 2c."""
    number = 1 if projects else 2
    at = f"{stage}{letter}_section{number}"
    y = relu(f"relu_{at}a", norm(f"batchstage_{at}a", conv(f"convstage_{at}a", x, stride)))
    y = relu(f"relu_{at}b", norm(f"batchstage_{at}b", conv(f"convstage_{at}b", y, 1, "same")))
    y = conv(f"convstage_{at}c", y)
    shortcut = conv(f"convstage_{at}d", x, stride) if projects else x
    y = norm(f"batchstage_{at}c", y)
    if projects:
        shortcut = norm(f"batchstage_{at}d", shortcut)
    return relu(f"relu_{at}", add(f"add_{at}", "add", [y, shortcut]))


x = add("input", "input", [], {"channels": 3, "height": 224, "width": 224})
x = add("zero_padding2d", "pad", [x], {"pads": [1, 1, 1, 1]})
x = relu("relu", norm("batch_normalization", conv("stage_1_conv_block_1", x, 2)))
x = add("max_pooling2d", "max_pool", [x], {"kernel": [3, 3], "stride": [2, 2], "padding": "valid"})
for stage, blocks in ((2, "ABC"), (3, "ABCD"), (4, "ABCDEF"), (5, "ABC")):
    for letter in blocks:
        x = block(x, stage, letter, 2 if letter == "A" and stage > 2 else 1, letter == "A")
x = add("average_pooling2d", "avg_pool", [x], {"kernel": [1, 1], "stride": [1, 1], "padding": "valid"})
x = relu("activation", x)
x = add("flatten", "flatten", [x], {"order": "nhwc"})
x = add("dense", "dense", [x], {}, {"weight": "kernel", "bias": "bias"})
x = add("softmax", "softmax", [x])

head = {"name": "keras-subclassed-resnet50",
        "description": "ResNet-50 for 224x224, strides in the 1x1, 47 classes: the functional model inside a subclass",
        "preprocess": {"name": "raw01", "color": "rgb", "resize": "exact", "size": [224, 224], "filter": "box",
                       "crop": None, "scale": 1 / 255, "mean": [], "std": []},
        "output": x}
text = json.dumps(head)[:-1] + ',\n "layers": [\n  ' + ",\n  ".join(json.dumps(layer) for layer in layers) + "]}\n"
(Path(__file__).parent / "recipes" / "keras-subclassed-resnet50.json").write_text(text)
