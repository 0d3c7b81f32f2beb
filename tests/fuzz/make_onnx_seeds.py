#!/usr/bin/env python3
"""Writes the seeds of the ONNX fuzz target: tiny models that together touch every handler.

  tests/fuzz/make_onnx_seeds.py tests/fuzz/corpus/onnx

Needs: pip install onnx==1.14.1 numpy. The same every time: weights are a fixed sequence, names and
versions are set here.
"""

import pathlib
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8


def weights(*shape, scale=0.1, dtype=np.float32):
    values = np.arange(int(np.prod(shape)), dtype=np.float64) % 7 - 3
    return (values * scale).reshape(shape).astype(dtype)


def ints(*values):
    return np.array(values, dtype=np.int64)


def model(nodes, inputs, outputs, initializers, opset, metadata=None):
    graph = helper.make_graph(
        [helper.make_node(op, i, o, **attributes) for op, i, o, attributes in nodes],
        "g",
        [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
        [helper.make_tensor_value_info(n, FLOAT, None) for n in outputs],
        [numpy_helper.from_array(v, n) for n, v in initializers.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    made.producer_name = "seeds"
    helper.set_model_props(made, metadata or {})
    return made


def image(channels=2, size=6):
    return [("x", FLOAT, ["batch", channels, size, size])]


def convolutional():
    return model(
        [
            ("Conv", ["x", "w", "b"], ["c"], dict(pads=[0, 1, 1, 1], strides=[2, 1], group=2)),
            ("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], dict(epsilon=1e-3)),
            ("Clip", ["n", "low", "high"], ["r"], {}),
            ("MaxPool", ["r"], ["p"], dict(kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)),
            ("AveragePool", ["p"], ["a"],
             dict(kernel_shape=[2, 2], count_include_pad=1, ceil_mode=1, strides=[2, 2])),
            ("GlobalAveragePool", ["a"], ["g"], {}),
            ("Flatten", ["g"], ["f"], {}),
            ("Gemm", ["f", "fc", "fb"], ["logits"], dict(transB=1, alpha=0.5, beta=2.0)),
            ("Softmax", ["logits"], ["y"], dict(axis=1)),
        ],
        image(), ["y"],
        dict(w=weights(2, 1, 3, 3), b=weights(2), s=weights(2) + 1, m=weights(2), v=weights(2) + 1,
             low=np.float32(0), high=np.float32(6), fc=weights(3, 2), fb=weights(3)),
        13, dict(labels='["a","b","c"]'))


def shape_arithmetic():
    return model(
        [
            ("Shape", ["x"], ["shape"], {}),
            ("Gather", ["shape", "zero"], ["batch"], dict(axis=0)),
            ("Unsqueeze", ["batch", "first"], ["batch1"], {}),
            ("Concat", ["batch1", "rest"], ["new"], dict(axis=0)),
            ("Reshape", ["x", "new"], ["r"], {}),
            ("Split", ["r", "parts"], ["left", "right"], dict(axis=1)),
            ("Slice", ["left", "one", "four", "one", "one"], ["sliced"], {}),
            ("Pad", ["sliced", "pads", "fill"], ["padded"], {}),
            ("Expand", ["padded", "wide"], ["e"], {}),
            ("Tile", ["e", "twice"], ["t"], {}),
            ("Transpose", ["t"], ["u"], dict(perm=[1, 0])),
            ("Squeeze", ["right"], ["q"], {}),
            ("ReduceMean", ["u"], ["m"], dict(axes=[1], keepdims=1)),
            ("Range", ["z", "l", "d"], ["range"], {}),
            ("ConstantOfShape", ["first1"], ["filled"], {}),
            ("Add", ["m", "m"], ["y"], {}),
        ],
        image(), ["y", "q", "range", "filled"],
        dict(zero=np.int64(0), first=ints(0), rest=ints(-1), parts=ints(40, 32), one=ints(1),
             four=ints(4), pads=ints(0, 1, 0, 1), fill=np.float32(1), wide=ints(2, 5),
             twice=ints(2, 1), z=np.int64(0), l=np.int64(5), d=np.int64(2), first1=ints(3)),
        13)


def elementwise():
    names = ["Abs", "Ceil", "Exp", "Floor", "Neg", "Reciprocal", "Round", "Sigmoid", "Sign", "Tanh",
             "Relu", "Softplus", "Softsign", "Erf", "Elu", "Selu", "Celu", "LeakyRelu",
             "HardSigmoid", "HardSwish", "ThresholdedRelu", "Mish"]
    nodes, last = [], "x"
    for index, name in enumerate(names):
        nodes.append((name, [last], [f"v{index}"], {}))
        last = f"v{index}"
    nodes += [
        ("Add", [last, "c"], ["a"], {}), ("Sub", ["a", "c"], ["s"], {}), ("Mul", ["s", "c"], ["m"], {}),
        ("Div", ["m", "c"], ["d"], {}), ("Pow", ["d", "two"], ["p"], {}),
        ("Max", ["p", "c"], ["mx"], {}), ("Min", ["mx", "c", "p"], ["mn"], {}),
        ("Mean", ["mn", "c"], ["me"], {}), ("Sum", ["me", "c"], ["su"], {}),
        ("Greater", ["su", "c"], ["g"], {}), ("Not", ["g"], ["n"], {}), ("And", ["g", "n"], ["an"], {}),
        ("Where", ["an", "su", "c"], ["w"], {}), ("PRelu", ["w", "c"], ["y"], {}),
    ]
    return model(nodes, [("x", FLOAT, [1, 4])], ["y"],
                 dict(c=weights(4) + 1, two=np.float32(2)), 18)


def normalized():
    return model(
        [
            ("LayerNormalization", ["x", "s", "s"], ["l", "mean", "inv"], dict(axis=-1)),
            ("InstanceNormalization", ["l", "c", "c"], ["i"], {}),
            ("LpNormalization", ["i"], ["n"], dict(axis=1, p=2)),
            ("LogSoftmax", ["n"], ["o"], dict(axis=-1)),
            ("ReduceL2", ["o", "axes"], ["r"], dict(keepdims=0)),
            ("ReduceLogSumExp", ["o", "axes"], ["e"], dict(keepdims=0)),
            ("DepthToSpace", ["x4"], ["dts"], dict(blocksize=2)),
            ("SpaceToDepth", ["dts"], ["std"], dict(blocksize=2)),
            ("MatMul", ["o", "w"], ["y"], {}),
        ],
        image() + [("x4", FLOAT, [1, 4, 2, 2])], ["y", "r", "e", "mean", "std"],
        dict(s=weights(6) + 1, c=weights(2) + 1, axes=ints(2, 3), w=weights(6, 3)), 18)


def quantized():
    i8 = lambda *s: weights(*s, scale=10, dtype=np.int8)
    scale, zero, zero8 = np.float32(0.05), np.uint8(3), np.int8(0)
    return model(
        [
            ("QuantizeLinear", ["x", "s", "z"], ["q"], {}),
            ("DequantizeLinear", ["q", "s", "z"], ["d"], {}),
            ("DequantizeLinear", ["w", "ws"], ["wd"], dict(axis=0)),
            ("Conv", ["d", "wd"], ["c"], dict(auto_pad="SAME_UPPER")),
            ("QLinearConv", ["q", "s", "z", "w", "s", "z8", "s", "z", "b"], ["qc"], {}),
            ("QLinearMatMul", ["qc", "s", "z", "qc2", "s", "z", "s", "z"], ["qm"], {}),
            ("ConvInteger", ["q", "w", "z"], ["ci"], {}),
            ("DequantizeLinear", ["qm", "s", "z"], ["y"], {}),
        ],
        image(), ["y", "c", "ci"],
        dict(s=scale, z=zero, z8=zero8, w=i8(2, 2, 3, 3), ws=np.array([0.1, 0.2], np.float32),
             b=np.array([1, -2], np.int32), qc2=np.ones((1, 2, 4, 3), np.uint8)), 13)


def old_forms():
    made = model(
        [
            ("Clip", ["x"], ["c"], dict(min=0.0, max=6.0)),
            ("Pad", ["c"], ["p"], dict(pads=[0, 0, 1, 1, 0, 0, 0, 0], mode="reflect")),
            ("Slice", ["p"], ["s"], dict(starts=[0], ends=[-1], axes=[2])),
            ("Dropout", ["s"], ["d", "mask"], dict(ratio=0.5)),
            ("Unsqueeze", ["d"], ["u"], dict(axes=[0])),
            ("Squeeze", ["u"], ["q"], dict(axes=[0])),
            ("ReduceSum", ["q"], ["r"], dict(axes=[2, 3], keepdims=0)),
            ("Softmax", ["r"], ["y"], {}),
        ],
        image(), ["y"], {}, 9)
    return made


def half_typed():
    """fp16 initializers in int32_data, floats in float_data, integers in int64_data."""
    made = model(
        [("Cast", ["h"], ["w"], dict(to=FLOAT)), ("Mul", ["x", "w"], ["m"], {}),
         ("Add", ["m", "f"], ["a"], {}), ("Reshape", ["a", "shape"], ["i"], {}),
         ("Identity", ["i"], ["y"], {})],
        [("x", TensorProto.FLOAT16, [1, 2])], ["y"], {}, 12)
    made.graph.initializer.extend([
        helper.make_tensor("h", TensorProto.FLOAT16, [2], np.array([1, -2], np.float16)),
        helper.make_tensor("f", FLOAT, [2], [0.5, 1.5]),
        helper.make_tensor("shape", INT64, [2], [2, 1]),
    ])
    return made


def constants():
    return model(
        [
            ("Constant", [], ["c"], dict(value=numpy_helper.from_array(weights(2, 3)))),
            ("Constant", [], ["f"], dict(value_floats=[1.0, 0.0, 2.0])),
            ("Constant", [], ["i"], dict(value_ints=[2, 0])),
            ("Constant", [], ["s"], dict(value_float=3.0)),
            ("NonZero", ["f"], ["nz"], {}),
            ("Size", ["c"], ["size"], {}),
            ("Gather", ["c", "i0"], ["g"], dict(axis=1)),
            ("Gather", ["x", "idx"], ["dynamic"], dict(axis=1)),
            ("Mul", ["dynamic", "s"], ["y"], {}),
        ],
        [("x", FLOAT, [1, 5]), ("idx", INT64, [2])], ["y", "nz", "g", "size"],
        dict(i0=ints(-1, 0)), 13)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in (convolutional, shape_arithmetic, elementwise, normalized, quantized, old_forms,
                 half_typed, constants):
        (folder / f"{make.__name__}.onnx").write_bytes(make().SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
