"""Makes keras.onnx: a Keras network as tf2onnx itself writes it, and what ONNX Runtime computes with it for x.npy.

pip install tensorflow-cpu==2.16.2 tf2onnx==1.17.0 onnx==1.16.2 onnxruntime==1.32.0 numpy==1.26.4 (Python 3.11)
python tests/golden/onnx/make_keras.py     after make.py, which makes x.npy
"""

from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from keras import layers

HERE = Path(__file__).parent
keras.utils.set_random_seed(4)

picture = keras.Input((33, 29, 3))
x = layers.Rescaling(1 / 127.5, offset=-1)(picture)
x = layers.Conv2D(8, 3, strides=2, padding="same")(x)
x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
x = layers.Add()([x, layers.Activation("swish")(y)])
x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
x = layers.BatchNormalization()(x)  # before an activation: a Mul and an Add that no convolution takes up
x = layers.Conv2D(4, 1)(layers.Activation("relu")(x))
x = layers.Dropout(0.3)(layers.Dense(12, activation="relu")(layers.Flatten()(x)))
model = keras.Model(picture, layers.Dense(10, activation="softmax")(x))
for layer in model.layers:
    if isinstance(layer, layers.BatchNormalization):
        n, random = layer.gamma.shape[0], np.random.default_rng(6)
        layer.set_weights([random.uniform(0.5, 1.5, n), random.normal(0, 0.2, n), random.normal(0, 0.2, n),
                           random.uniform(0.5, 1.5, n)])

signature = [tf.TensorSpec((None, 33, 29, 3), tf.float32, name="image")]
tf2onnx.convert.from_function(tf.function(lambda image: model(image, training=False)), input_signature=signature,
                              opset=13, output_path=str(HERE / "keras.onnx"))
session = onnxruntime.InferenceSession(str(HERE / "keras.onnx"))
image = np.ascontiguousarray(np.load(HERE / "x.npy").transpose(0, 2, 3, 1))
expected = session.run(None, {"image": image})[0]
np.save(HERE / "keras.y.npy", expected)
print("against Keras:", np.abs(expected - model(image, training=False).numpy()).max())
