"""Makes fuzz/: tiny models that hold every operator, from which convert_onnx_fuzz starts.

found_* are what it found in ten minutes: the smallest file for each kind of answer.

pip install numpy==2.4.6 onnx==1.23.2, then: python tests/golden/onnx/make_fuzz_seeds.py
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent / "fuzz"
node = helper.make_node


def save(name, nodes, constants, opset, shape=(1, 2, 4, 4), raw=True, inputs=False):
    initializers = []
    for key, value in constants.items():
        value = np.asarray(value)
        value = value.astype(np.int64 if value.dtype.kind == "i" else np.float32)
        if raw:
            initializers.append(numpy_helper.from_array(value, key))
        else:
            kind = TensorProto.INT64 if value.dtype == np.int64 else TensorProto.FLOAT
            initializers.append(helper.make_tensor(key, kind, value.shape, value.flatten()))
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    if inputs:
        values += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in initializers]
    graph = helper.make_graph(nodes, "g", values, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if inputs else 8)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


HERE.mkdir(exist_ok=True)
w = np.arange(16).reshape(2, 2, 2, 2) / 16 - 0.4
two = np.array([0.5, 2.0])
save("classic", [
    node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 0, 0], strides=[1, 1], kernel_shape=[2, 2], group=1, dilations=[1, 1]),
    node("Identity", ["b"], ["b2"]), node("BatchNormalization", ["c", "b", "b2", "b", "b"], ["n"], epsilon=1e-3),
    node("Relu", ["n"], ["r"]), node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    node("Add", ["p", "p"], ["a"]), node("GlobalAveragePool", ["a"], ["g"]), node("Flatten", ["g"], ["f"]),
    node("Gemm", ["f", "m", "b"], ["l"], alpha=0.5, beta=2.0, transB=1), node("Softmax", ["l"], ["y"], axis=1)],
    {"w": w, "b": two, "m": w[0, 0]}, 10, raw=False, inputs=True)
save("shapes", [
    node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"], axis=0), node("Unsqueeze", ["n", "list"], ["n1"]),
    node("Slice", ["s", "list", "one", "list", "one"], ["n2"]), node("Cast", ["n2"], ["n3"], to=7),
    node("Mul", ["n3", "one"], ["n4"]), node("Concat", ["n4", "minus"], ["t"], axis=0),
    node("Reshape", ["x", "t"], ["r"], allowzero=0), node("MatMul", ["r", "m"], ["d"]), node("Add", ["d", "b"], ["y"])],
    {"zero": 0, "list": [0], "one": [1], "minus": [-1], "m": np.ones((32, 2)) / 9, "b": two}, 15)
save("pads", [
    node("Constant", [], ["none"], value_ints=[0, 0]), node("ConstantOfShape", ["one"], ["z"]),
    node("Concat", ["none", "hw", "none", "z", "z"], ["p"], axis=0), node("Squeeze", ["p2", "list"], ["unused"]),
    node("Reshape", ["p", "grid"], ["g"]), node("Transpose", ["g"], ["gt"], perm=[0, 1]), node("Reshape", ["gt", "minus"], ["q"]),
    node("Pad", ["x", "q"], ["d"], mode="reflect"), node("AveragePool", ["d"], ["a"], kernel_shape=[2, 2], auto_pad="SAME_LOWER",
                                                        count_include_pad=1),
    node("ReduceMean", ["a"], ["m3"], axes=[3], keepdims=0), node("ReduceMean", ["m3"], ["y"], axes=[2], keepdims=0)],
    {"one": [1], "hw": [1, 2], "grid": [4, 2], "minus": [-1], "p2": [[1]], "list": [0]}, 14)
save("nhwc", [
    node("Cast", ["x"], ["x1"], to=1), node("Div", ["x1", "k"], ["x2"]), node("Sub", ["x2", "b"], ["x3"]),
    node("Transpose", ["x3"], ["x4"], perm=[0, 3, 1, 2]), node("Conv", ["x4", "w"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
    node("Add", ["c", "b3"], ["d"]), node("Clip", ["d", "zero", "six"], ["e"]), node("Mul", ["e", "b3"], ["f"]),
    node("Transpose", ["f"], ["g"], perm=[0, 2, 3, 1]), node("Flatten", ["g"], ["h"]), node("Dropout", ["h"], ["y"])],
    {"k": 255.0, "b": two, "b3": two.reshape(2, 1, 1), "w": w, "zero": 0.0, "six": 6.0}, 17, shape=("n", 4, 4, 2))
save("gates", [
    node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["a"]), node("HardSigmoid", ["a"], ["h"], alpha=0.2),
    node("LeakyRelu", ["h"], ["l"], alpha=0.1), node("HardSwish", ["l"], ["q"]), node("GlobalAveragePool", ["q"], ["g"]),
    node("Squeeze", ["g", "spatial"], ["v"]), node("Unsqueeze", ["v", "spatial"], ["u"]), node("Shape", ["q"], ["t"]),
    node("Expand", ["u", "t"], ["e"]), node("Mul", ["q", "e"], ["m"]), node("ReduceMean", ["m", "spatial"], ["y"], keepdims=1)],
    {"spatial": [2, 3]}, 18)
