"""The Keras networks of docs/models.md. Run: writes their architectures, source_model*.json, without weights, and those
of two keras.applications.

pip install tensorflow==2.21.0 tf_keras==2.21.0, then: TF_USE_LEGACY_KERAS=1 python tests/golden/keras/source_models.py
"""

import json
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf  # noqa: E402

keras = tf.keras
L = keras.layers


def model0():
    """Two residual blocks without batch norm."""
    def block(x, filters):
        y = L.Conv2D(filters, 3, padding="same", activation="relu")(x)
        y = L.Conv2D(filters, 3, padding="same")(y)
        return L.Activation("relu")(L.add([y, x]))

    inputs = keras.Input((224, 224, 3))
    x = L.Conv2D(64, 7, strides=2, padding="same", activation="relu")(inputs)
    x = L.MaxPooling2D(3, 2, padding="same")(x)
    x = L.Flatten()(block(block(x, 64), 64))
    x = L.Dense(128, activation="relu")(x)
    return keras.Model(inputs, L.Dense(10, activation="softmax")(x))


def model1():
    """ResNet-34's blocks, all at 56x56."""
    def block(x, filters):
        y = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(x)))
        y = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(y))
        if x.shape[-1] != filters:
            x = L.BatchNormalization()(L.Conv2D(filters, 1, padding="same")(x))
        return L.Activation("relu")(L.add([y, x]))

    inputs = keras.Input((224, 224, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(64, 7, strides=2, padding="same")(inputs)))
    x = L.MaxPooling2D(3, 2, padding="same")(x)
    for filters, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for _ in range(blocks):
            x = block(x, filters)
    return keras.Model(inputs, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def model3():
    """ResNet-50 for 64x64, strides in the 1x1s."""
    def block(x, name, filters, stride, projects):
        def part(value, branch, count, size=1, stride=1, padding="valid"):
            y = L.Conv2D(count, size, strides=stride, padding=padding, name=f"res{name}_branch{branch}")(value)
            return L.BatchNormalization(axis=3, name=f"bn{name}_branch{branch}")(y)

        y = L.Activation("relu")(part(x, "2a", filters, stride=stride))
        y = L.Activation("relu")(part(y, "2b", filters, 3, padding="same"))
        y = part(y, "2c", 4 * filters)
        return L.Activation("relu")(L.Add()([y, part(x, "1", 4 * filters, stride=stride) if projects else x]))

    inputs = keras.Input((64, 64, 3))
    x = L.Conv2D(64, 7, strides=2, name="conv1")(L.ZeroPadding2D(3)(inputs))
    x = L.Activation("relu")(L.BatchNormalization(axis=3, name="bn_conv1")(x))
    x = L.MaxPooling2D(3, strides=2)(x)
    for stage, blocks in ((2, 3), (3, 4), (4, 6), (5, 3)):
        for i in range(blocks):
            x = block(x, f"{stage}{'abcdef'[i]}", 64 << (stage - 2), 2 if i == 0 and stage > 2 else 1, i == 0)
    x = L.Flatten()(L.AveragePooling2D(2, name="avg_pool")(x))
    return keras.Model(inputs, L.Dense(6, activation="softmax", name="fc6")(x))


class Model4(keras.Model):
    """ResNet-50 inside a subclass, 47 classes."""

    def __init__(self, size=224, width=64, classes=47):
        super().__init__(name="residual_network_50")
        inputs = keras.Input((size, size, 3))
        x = L.Conv2D(width, 7, strides=2, name="stage_1_conv_block_1")(L.ZeroPadding2D()(inputs))
        x = L.MaxPooling2D(3, strides=2)(L.Activation("relu")(L.BatchNormalization()(x)))
        for stage, letters in ((2, "ABC"), (3, "ABCD"), (4, "ABCDEF"), (5, "ABC")):
            for letter in letters:
                x = self.block(x, f"stage_{stage}{letter}_section", width << (stage - 2),
                               2 if letter == "A" and stage > 2 else 1, letter == "A")
        x = L.Flatten()(L.Activation("relu")(L.AveragePooling2D(1)(x)))
        self.resnet = keras.Model(inputs, L.Dense(classes, activation="softmax")(x))

    @staticmethod
    def block(x, name, filters, stride, projects):
        def part(value, section, count, size=1, stride=1, padding="valid"):
            section = ("1" if projects else "2") + section
            y = L.Conv2D(count, size, strides=stride, padding=padding, name=f"conv{name}{section}")(value)
            return L.BatchNormalization(axis=3, name=f"batch{name}{section}")(y)

        y = L.Activation("relu")(part(x, "a", filters, stride=stride))
        y = L.Activation("relu")(part(y, "b", filters, 3, padding="same"))
        y = part(y, "c", 4 * filters)
        return L.Activation("relu")(L.Add()([y, part(x, "d", 4 * filters, stride=stride) if projects else x]))

    def call(self, x):
        return self.resnet(x)


if __name__ == "__main__":
    for number, build in ((0, model0), (1, model1), (3, model3)):
        text = json.dumps(json.loads(build().to_json()), separators=(",", ":"))
        (Path(__file__).parent / f"source_model{number}.json").write_text(text)
    for name in ("ResNet50", "ResNet50V2"):
        text = json.dumps(json.loads(getattr(keras.applications, name)(weights=None).to_json()), separators=(",", ":"))
        (Path(__file__).parent / f"application_{name.lower()}.json").write_text(text)
