#!/usr/bin/env python3
"""The shortest script that gets a label from a picture: what a user of a peer would write.

    label_one.py onnxruntime|openvino|torch MODEL IMAGE THREADS
"""

import sys

import numpy as np
from PIL import Image

peer, model, image, threads = sys.argv[1:]
with Image.open(image) as picture:
    picture = picture.convert("RGB")
    w, h = picture.size
    short = 256 / min(w, h)
    picture = picture.resize((int(w * short), int(h * short)), Image.Resampling.BILINEAR)
    left, top = round((picture.width - 224) / 2), round((picture.height - 224) / 2)
    picture = picture.crop((left, top, left + 224, top + 224))
x = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255
x = (x - np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]) / np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]

if peer == "onnxruntime":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    y = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
elif peer == "openvino":
    import openvino

    core = openvino.Core()
    network = core.read_model(model)
    network.reshape([1, 3, 224, 224])
    compiled = core.compile_model(network, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": int(threads),
                                                   "INFERENCE_PRECISION_HINT": "f32"})
    y = compiled(x)[0]
else:
    import torch
    import torchvision

    torch.set_num_threads(int(threads))
    network = getattr(torchvision.models, "resnet50")(weights=None).eval()
    network.load_state_dict(torch.load(model, weights_only=True))
    with torch.inference_mode():
        y = network(torch.from_numpy(x)).numpy()
print(int(y[0].argmax()))
