"""Makes this folder: small Keras models in every file layout that Keras has had, and what Keras computes with them.

Three environments, one run in each:
    pip install tensorflow==2.21.0 keras==3.15.1 h5py==3.14.0    python make.py             -> keras3.*
    pip install tensorflow==2.21.0 tf_keras==2.21.0              python make.py tf_keras    -> tfkeras.*
    pip install tensorflow-cpu==2.13.1 (Python 3.11)             python make.py             -> keras213.*
"""

import json
import os
import sys
import zipfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
if sys.argv[1:] == ["tf_keras"]:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from source_models import Model4  # noqa: E402

keras = tf.keras
L = keras.layers
HERE = Path(__file__).parent
KIND = "tfkeras" if sys.argv[1:] == ["tf_keras"] else "keras213" if tf.__version__.startswith("2.13") else "keras3"


def settle(model, seed):
    """Weights in which every factor counts: no gamma is 1, no beta or mean 0, no variance 1."""
    random = np.random.RandomState(seed)
    for weight in model.weights:
        role = getattr(weight, "path", weight.name).split("/")[-1].split(":")[0]
        shape = tuple(weight.shape)
        if "seed" in role or role == "count":
            continue
        if role in ("moving_variance", "gamma", "variance"):
            value = random.uniform(0.5, 1.5, shape)
        elif "kernel" in role:
            fan_in = np.prod(shape[:-1]) if "depthwise" not in role else np.prod(shape[:2])
            value = random.randn(*shape) * np.sqrt(2 / fan_in)
        else:
            value = random.randn(*shape) * 0.3
        weight.assign(value.astype("float32"))
    return model


def plain():
    """Same-padded with bias, batch norm's default epsilon, a projection only where channels change; odd input."""
    def block(x, filters, stride):
        y = L.Conv2D(filters, 3, strides=stride, padding="same")(x)
        y = L.BatchNormalization()(y)
        y = L.Activation("relu")(y)
        y = L.Conv2D(filters, 3, padding="same")(y)
        y = L.BatchNormalization()(y)
        if x.shape[-1] != filters:
            x = L.BatchNormalization()(L.Conv2D(filters, 1, strides=stride, padding="same")(x))
        return L.Activation("relu")(L.add([y, x]))

    inputs = keras.Input((33, 29, 3))
    x = L.Conv2D(6, 7, strides=2, padding="same")(inputs)
    x = L.ReLU()(L.BatchNormalization()(x))
    x = L.MaxPooling2D(3, 2, padding="same")(x)
    x = block(block(x, 6, 1), 8, 2)
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Dense(10, activation="softmax")(x))


def features():
    """The other layers: a model of models, squeeze and excitation, depthwise, separable, dilated and grouped."""
    augment = keras.Sequential([L.RandomFlip("horizontal"), L.Rescaling(1 / 127.5, offset=-1)], name="augment")
    stem_input = keras.Input((33, 29, 3))
    y = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.6, 0.7])(stem_input)
    y = L.ZeroPadding2D(((1, 2), (3, 0)))(y)
    y = L.Conv2D(8, 3, strides=2, activation="relu", name="conv")(y)
    y = L.BatchNormalization(scale=False, name="norm")(y)
    stem = keras.Model(stem_input, y, name="stem")

    inputs = keras.Input((33, 29, 3))
    x = stem(augment(inputs))
    y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    y = L.BatchNormalization(center=False)(y)
    y = L.ReLU(6.0)(y)
    y = L.SeparableConv2D(8, 3, padding="same", use_bias=False)(y)
    squeeze = L.GlobalAveragePooling2D()(y)
    squeeze = L.Reshape((1, 1, 8))(squeeze)
    squeeze = L.Conv2D(4, 1, activation="swish" if KIND != "keras3" else "silu")(squeeze)
    squeeze = L.Dense(8, activation="hard_sigmoid")(squeeze)
    y = L.multiply([squeeze, y])
    x = L.LeakyReLU(0.1)(x + y)
    x = L.AveragePooling2D(2, padding="same")(x)
    x = L.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2, name="conv")(x)
    x = L.Dropout(0.5)(x)
    x = L.Flatten()(x)
    x = L.Dense(12, activation="sigmoid")(x)
    return keras.Model(inputs, L.Softmax()(L.Dense(10)(x)))


def half(dtype):
    """Weights in 16 bits, and what they compute in float32."""
    def build(dtype):
        inputs = keras.Input((33, 29, 3), dtype=dtype)
        x = L.Conv2D(4, 3, activation="relu", dtype=dtype)(inputs)
        x = L.GlobalAveragePooling2D(dtype=dtype)(L.BatchNormalization(dtype=dtype)(x))
        return keras.Model(inputs, L.Dense(10, dtype=dtype)(x))

    model, exact = settle(build(dtype), 4), build("float32")
    for weight, narrow in zip(exact.weights, model.weights):
        weight.assign(keras.ops.cast(narrow, "float32"))
    return model, exact


def save(model, name, x, formats):
    np.save(HERE / f"{KIND}.{name}.y.npy", np.asarray(model(x, training=False), "float32"))
    for suffix in formats:
        path = HERE / f"{KIND}.{name}{suffix}"
        if suffix == ".json":
            path.write_text(json.dumps(json.loads(model.to_json()), separators=(",", ":")))
        elif suffix in (".weights.h5", "_weights.h5"):  # Keras 2 writes the older layout for a name without ".weights"
            model.save_weights(path)
            with zipfile.ZipFile(f"{path}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
                archive.write(path, "weights.h5")
            path.unlink()
        else:
            model.save(path)


random = np.random.RandomState(7)
small = random.randn(2, 33, 29, 3).astype("float32")
large = random.randn(1, 64, 64, 3).astype("float32")
np.save(HERE / "x.npy", small)
np.save(HERE / "x_subclassed.npy", large)

save(settle(plain(), 1), "plain", small, [".keras", ".h5", ".weights.h5", ".json"])
if KIND == "tfkeras":  # numbered by another session: every name is another layer's, Keras goes by order
    keras.backend.clear_session()
    L.Conv2D(1, 1), L.BatchNormalization()
    save(settle(plain(), 1), "shifted", small, ["_weights.h5"])
save(settle(features(), 2), "features", small, [".keras"] + ([".h5"] if KIND != "keras3" else []))
if KIND == "keras3":
    for dtype in ("float16", "bfloat16"):
        model, exact = half(dtype)
        save(model, dtype, small, [".keras", ".h5"])
        np.save(HERE / f"{KIND}.{dtype}.y.npy", np.asarray(exact(small)))
subclassed = Model4(size=64, width=2, classes=5)
subclassed(large)
settle(subclassed, 3)
for weight in subclassed.resnet.layers[-1].weights:  # after 16 blocks the features are large: keep softmax in its slope
    weight.assign(weight * 0.01)
save(subclassed, "subclassed", large, [".weights.h5"] + (["_weights.h5"] if KIND == "tfkeras" else []))
