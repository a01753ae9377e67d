"""Full-size Keras models, converted and compared: docs/models.md's, and keras.applications' ResNets.

pip install tensorflow==2.21.0 keras==3.15.1 h5py==3.14.0, then: python bench/roundtrip/keras_roundtrip.py
With TF_USE_LEGACY_KERAS=1 and tf_keras==2.21.0 the same with the older Keras.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden" / "keras"))
import numpy as np  # noqa: E402
import roundtrip  # noqa: E402
import source_models  # noqa: E402
import tensorflow as tf  # noqa: E402

keras = tf.keras
LEGACY = os.environ.get("TF_USE_LEGACY_KERAS") == "1"
NAME = "tf_keras 2.21" if LEGACY else "Keras 3.15"


def pictures(count, size, seed):
    """Coarse coloured squares, different from picture to picture: noise would look the same after pooling."""
    height, width, channels = size
    coarse = np.random.RandomState(seed).rand(count, 8, 8, channels)
    fine = np.random.RandomState(seed + 1).rand(count, height, width, channels)
    large = np.kron(coarse, np.ones((1, -(-height // 8), -(-width // 8), 1)))[:, :height, :width]
    return (0.8 * large + 0.2 * fine).astype("float32")


def settle(model, x, seed=1):
    """Random weights, statistics of the activations that they make. Residual branches end in small scales, as trained
    ones do: otherwise rounding errors grow from block to block, in Keras' own results too.
    """
    random = np.random.RandomState(seed)
    norms = [layer for layer in flatten(model) if isinstance(layer, keras.layers.BatchNormalization)]
    for weight in model.weights:
        role = getattr(weight, "path", weight.name).split("/")[-1].split(":")[0]
        shape = tuple(weight.shape)
        if role in ("moving_variance", "gamma"):
            value = random.uniform(0.6, 1.2, shape)
        elif role == "kernel":
            value = random.standard_normal(shape) * np.sqrt(1.0 / np.prod(shape[:-1]))
        else:
            value = random.standard_normal(shape) * 0.1
        weight.assign(value.astype("float32"))
    for layer in norms:
        layer.momentum = 0.0
        # The last of a branch; those of projections have other names.
        if layer.name.endswith(("_3_bn", "_section1c", "_section2c", "_branch2c")):
            layer.gamma.assign(0.2 * layer.gamma)
    for layer in flatten(model):  # v2 ends its branches in a convolution
        if layer.name.endswith("_3_conv") and any(norm.name == "post_bn" for norm in norms):
            for weight in layer.weights:
                weight.assign(0.2 * weight)
    model(x, training=True)


def flatten(model):
    for layer in model.layers:
        yield from flatten(layer) if hasattr(layer, "layers") else [layer]


def check(name, model, suffix, arguments=(), load=None):
    """`suffix` says how it is saved; `arguments` follow the file on resnet_convert's command line."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        size = model.input_shape[1:] if not isinstance(model, source_models.Model4) else (224, 224, 3)
        size = tuple(224 if extent is None else extent for extent in size)
        x = pictures(2, size, 2)
        np.asarray(model(x[:1]))
        settle(model, pictures(8, size, 4))
        np.save(folder / "x.npy", x)
        np.save(folder / "y.npy", np.asarray(model(x, training=False)))
        path = folder / f"model{suffix}"
        if "weights" in suffix:
            model.save_weights(path)
        else:
            model.save(path)
        begin = time.perf_counter()
        if load is None:
            keras.models.load_model(path, compile=False)
        else:
            load(path)
        seconds = time.perf_counter() - begin
        print(roundtrip.row(f"{NAME} `{suffix}`", name, [path, *arguments], folder, "nhwc", seconds), flush=True)
    keras.backend.clear_session()


print(roundtrip.HEADER)
if not LEGACY:
    check("source model 0", source_models.model0(), ".keras")
check("source model 0", source_models.model0(), ".h5")
check("source model 1", source_models.model1(), ".h5")
check("source model 3", source_models.model3(), ".h5" if LEGACY else ".keras")


def load_model4(path):
    fresh = source_models.Model4()
    fresh(np.zeros((1, 224, 224, 3), "float32"))
    fresh.load_weights(path)


for suffix in (".weights.h5", "_weights.h5")[: 2 if LEGACY else 1]:
    check("source model 4", source_models.Model4(), suffix, ["--arch", "keras-subclassed-resnet50"], load_model4)
applications = keras.applications
for build in (applications.ResNet50, applications.ResNet101, applications.ResNet152, applications.ResNet50V2,
              applications.ResNet101V2, applications.ResNet152V2):
    # tf_keras: .h5 only
    for suffix in (".h5", ".keras")[: 1 if LEGACY or "152" in build.__name__ else 2]:
        check(build.__name__, build(weights=None), suffix)
for build in (applications.ResNet50, applications.ResNet50V2):
    for suffix in (".weights.h5", "_weights.h5")[: 2 if LEGACY else 1]:
        check(build.__name__, build(weights=None), suffix, ["--arch", f"keras:{build.__name__.lower()}"], lambda path: build(weights=None).load_weights(path))
