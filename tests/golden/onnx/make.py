"""Makes this folder: small networks as several exporters write them, and what ONNX Runtime computes with them in fp32.

pip install torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
python tests/golden/onnx/make.py
"""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn

HERE = Path(__file__).parent
CLASSES = 10
PLANES = 8


class Block(nn.Module):
    """A residual block; `gate` adds squeeze-and-excitation, or efficient channel attention ("eca")."""

    def __init__(self, inputs, planes, stride, act, gate):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, groups=2, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.act = act()
        self.down = None
        if stride != 1 or inputs != planes:
            self.down = nn.Sequential(nn.Conv2d(inputs, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
        self.gate = gate
        if gate == "eca":
            self.along = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        elif gate:
            self.squeeze = nn.Linear(planes, planes // 2)
            self.excite = nn.Linear(planes // 2, planes)

    def forward(self, x):
        y = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        if self.gate == "eca":
            s = self.along(y.mean((2, 3)).view(y.size(0), 1, -1)).view(y.size(0), -1, 1, 1)
            y = y * torch.sigmoid(s).expand_as(y)
        elif self.gate:
            b, c = y.size(0), y.size(1)
            s = F.adaptive_avg_pool2d(y, 1).view(b, c)
            s = torch.sigmoid(self.excite(F.relu(self.squeeze(s)))).view(b, c, 1, 1)
            y = y * s.expand_as(y) if self.gate == "expand" else s * y
        return self.act(y + (x if self.down is None else self.down(x)))


class PreBlock(nn.Module):
    """Normalisation and activation before the convolutions, and a scale that no convolution can take up."""

    def __init__(self, planes, act):
        super().__init__()
        self.bn = nn.BatchNorm2d(planes)
        self.pad = nn.ReflectionPad2d((2, 1, 1, 2))
        self.conv = nn.Conv2d(planes, planes, 4, bias=True)
        self.scale = nn.Parameter(torch.linspace(-0.5, 1.5, planes).view(1, planes, 1, 1))
        self.act = act()

    def forward(self, x):
        return x + self.conv(self.pad(self.act(self.bn(x)))) * self.scale


class Net(nn.Module):
    def __init__(self, head, act=nn.ReLU, gate=None, preact=False, ceil=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, PLANES, 5, 2, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(PLANES)
        self.act = act()
        self.pool = nn.MaxPool2d(3, 2, 1, ceil_mode=ceil)
        blocks = [PreBlock(PLANES, act)] if preact else [Block(PLANES, PLANES, 1, act, gate)]
        self.blocks = nn.Sequential(*blocks, Block(PLANES, 2 * PLANES, 2, act, gate))
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(2 * PLANES, CLASSES)
        self.head = head

    def forward(self, x):
        x = self.blocks(self.pool(self.act(self.bn1(self.conv1(x)))))
        if self.head == "flatten":
            x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        elif self.head == "view":
            x = F.adaptive_avg_pool2d(x, 1)
            x = x.view(x.size(0), -1)
        elif self.head == "means":
            x = x.mean(3).mean(2)
            return x @ self.fc.weight.t() + self.fc.bias
        elif self.head == "mean":
            x = x.mean([2, 3])
        elif self.head == "avg_pool":
            x = F.avg_pool2d(x, (x.shape[2], x.shape[3])).squeeze(-1).squeeze(-1)
            return F.softmax(self.fc(self.drop(x)), dim=1)
        elif self.head == "features":
            x = x.flatten(2).mean(-1)
        return self.fc(self.drop(x))


def settle(net):
    """Weights and statistics in which every factor counts."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    net.train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(8, 3, 33, 29) * 1.5 + 0.2)
    return net.eval()


def run(path, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def save_expected(name, x, model=None):
    path = str(HERE / f"{name}.onnx")
    onnx.checker.check_model(path)
    np.save(HERE / f"{name}.y.npy", run(path if model is None else model.SerializeToString(), x).astype(np.float32))


def legacy(name, net, opset, **options):
    options.setdefault("dynamic_axes", {"input": {0: "n"}})
    torch.onnx.export(net, torch.from_numpy(X), HERE / f"{name}.onnx", opset_version=opset, dynamo=False,
                      input_names=["input"], output_names=["logits"], **options)
    save_expected(name, X)


def dynamo(name, net, opset, x=None, **options):
    batch = torch.export.Dim("n", min=1, max=64)
    torch.onnx.export(net, (torch.from_numpy(X) if x is None else x,), HERE / f"{name}.onnx", opset_version=opset,
                      dynamo=True, dynamic_shapes=({0: batch},), verbose=False, **options)
    strip(HERE / f"{name}.onnx")


def strip(path):
    """The exporter's stack traces are larger than these weights."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    onnx.save(model, path)


def in_floats(model):
    """The same network with its halves written as floats: what a computation in fp32 gives."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT16:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float32)))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    del model.graph.value_info[:]
    return model


def tensorflow_like(name):
    """As tf2onnx writes a Keras network: N x H x W x C outside, transposes at the edges, MatMul + Add, SAME padding."""
    rng = np.random.default_rng(3)
    weights = {
        "kernel1": rng.normal(0, 0.3, (8, 3, 3, 3)), "bias1": rng.normal(0, 0.2, 8),
        "kernel2": rng.normal(0, 0.2, (12, 8, 3, 3)), "bias2": rng.normal(0, 0.2, (1, 12, 1, 1)),
        "gamma": rng.uniform(0.5, 1.5, 12), "beta": rng.normal(0, 0.2, 12),
        "mean": rng.normal(0, 0.2, 12), "variance": rng.uniform(0.5, 1.5, 12),
        "dense": rng.normal(0, 0.3, (12, CLASSES)), "dense_bias": rng.normal(0, 0.3, CLASSES),
        "channel_mean": np.array([0.3, -0.1, 0.2]), "channel_scale": np.array([0.9, 1.1, 1.3]),
        "zero": np.array(0.0), "six": np.array(6.0),
    }
    initializers = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    initializers += [numpy_helper.from_array(np.array([-1, 12], np.int64), "rows")]
    node = helper.make_node
    nodes = [
        node("Sub", ["image", "channel_mean"], ["centred"], "model/sub"),
        node("Div", ["centred", "channel_scale"], ["scaled"], "model/truediv"),
        node("Transpose", ["scaled"], ["nchw"], "model/conv1/Conv2D__6", perm=[0, 3, 1, 2]),
        node("Conv", ["nchw", "kernel1", "bias1"], ["c1"], "model/conv1/Conv2D", auto_pad="SAME_UPPER", strides=[2, 2],
             kernel_shape=[3, 3]),
        node("Clip", ["c1", "zero", "six"], ["r1"], "model/relu1/Relu6"),
        node("MaxPool", ["r1"], ["p1"], "model/pool/MaxPool", auto_pad="SAME_LOWER", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "kernel2"], ["c2"], "model/conv2/Conv2D", pads=[0, 0, 1, 1], strides=[2, 2]),
        node("Add", ["c2", "bias2"], ["a2"], "model/conv2/BiasAdd"),
        node("BatchNormalization", ["a2", "gamma", "beta", "mean", "variance"], ["n2"], "model/bn2", epsilon=1.001e-5),
        node("Relu", ["n2"], ["r2"], "model/relu2/Relu"),
        node("Transpose", ["r2"], ["nhwc"], "model/avg__9", perm=[0, 2, 3, 1]),
        node("ReduceMean", ["nhwc"], ["pooled"], "model/avg/Mean", axes=[1, 2], keepdims=1),
        node("Reshape", ["pooled", "rows"], ["flat"], "model/flatten/Reshape"),
        node("MatMul", ["flat", "dense"], ["product"], "model/dense/MatMul"),
        node("Add", ["product", "dense_bias"], ["logits"], "model/dense/BiasAdd"),
        node("Softmax", ["logits"], ["probabilities"], "model/dense/Softmax"),
    ]
    graph = helper.make_graph(
        nodes, "tf2onnx", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 33, 29, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", CLASSES])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8, producer_name="tf2onnx")
    onnx.save(model, HERE / f"{name}.onnx")
    save_expected(name, np.ascontiguousarray(X.transpose(0, 2, 3, 1)))


warnings.filterwarnings("ignore")
torch.manual_seed(2)
torch.set_num_threads(1)
X = torch.randn(2, 3, 33, 29).numpy()
np.save(HERE / "x.npy", X)
EVAL, PRESERVE = torch.onnx.TrainingMode.EVAL, torch.onnx.TrainingMode.PRESERVE

legacy("opset7", settle(Net("view")), 7, training=PRESERVE, do_constant_folding=False, keep_initializers_as_inputs=True)
ir3 = onnx.load(HERE / "opset7.onnx")
ir3.ir_version = 3
onnx.save(ir3, HERE / "opset7.onnx")
legacy("opset9", settle(Net("features", nn.LeakyReLU)), 9, training=EVAL, do_constant_folding=False)
legacy("opset11", settle(Net("means", nn.ReLU6)), 11)
legacy("opset13", settle(Net("avg_pool", nn.ReLU, ceil=True)), 13, training=EVAL, dynamic_axes=None)
legacy("opset14_preact", settle(Net("mean", nn.ReLU, preact=True)), 14, do_constant_folding=False)
legacy("opset16_se", settle(Net("view", nn.SiLU, gate="expand")), 16)
dynamo("opset18", settle(Net("flatten")), 18, external_data=False)
save_expected("opset18", X)
dynamo("opset20_se", settle(Net("mean", nn.Hardswish, gate="plain")), 20, external_data=False)
save_expected("opset20_se", X)
dynamo("opset23_half", settle(Net("flatten")).half(), 23, torch.from_numpy(X).half(), external_data=False)
half = onnx.load(HERE / "opset23_half.onnx")
save_expected("opset23_half", X, in_floats(half))
measured, expected = run(str(HERE / "opset23_half.onnx"), X.astype(np.float16)), np.load(HERE / "opset23_half.y.npy")
print("halves against floats, relative L2:", np.linalg.norm(measured - expected) / np.linalg.norm(expected))
dynamo("external", settle(Net("flatten")), 18, external_data=True)
save_expected("external", X)
legacy("opset17_eca", settle(Net("mean", nn.ReLU, gate="eca")), 17)
tensorflow_like("tf2onnx")
