"""ONNX files that PyTorch's exporter does not write itself: other weight types, external data,
int8 weights, and a Keras network as tf2onnx exports it. Value names stay as they were."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def _graph_with(model, initializers, new_nodes):
    nodes = new_nodes + list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(initializers)
    model.graph.node.extend(nodes)


def weights_as_fp16(model):
    """Each initializer of rank 2 and above as fp16 with a Cast to fp32 behind it."""
    initializers, casts = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim >= 2 and values.dtype == np.float32:
            initializers.append(
                numpy_helper.from_array(values.astype(np.float16), tensor.name + ".fp16"))
            casts.append(helper.make_node("Cast", [tensor.name + ".fp16"], [tensor.name],
                                          to=TensorProto.FLOAT))
        else:
            initializers.append(tensor)
    _graph_with(model, initializers, casts)


def weights_as_bf16(model):
    initializers, casts = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim >= 2 and values.dtype == np.float32:
            high_halves = (values.view(np.uint32) >> 16).astype("<u2")
            half = TensorProto(name=tensor.name + ".bf16", data_type=TensorProto.BFLOAT16,
                               dims=values.shape, raw_data=high_halves.tobytes())
            initializers.append(half)
            casts.append(helper.make_node("Cast", [half.name], [tensor.name],
                                          to=TensorProto.FLOAT))
        else:
            initializers.append(tensor)
    _graph_with(model, initializers, casts)


def whole_graph_fp16(model):
    """fp16 input, output and weights: every value between is fp16 too."""
    initializers = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor = numpy_helper.from_array(values.astype(np.float16), tensor.name)
        initializers.append(tensor)
    _graph_with(model, initializers, [])
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.t.data_type == TensorProto.FLOAT:
                values = numpy_helper.to_array(attribute.t).astype(np.float16)
                attribute.t.CopyFrom(numpy_helper.from_array(values))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16


def weights_as_int8(model, scales):
    """scales: initializer name -> (scale for each output channel, grid of integers)."""
    initializers, nodes = [], []
    missing = set(scales) - {tensor.name for tensor in model.graph.initializer}
    if missing:
        raise SystemExit(f"no initializer {missing}")
    for tensor in model.graph.initializer:
        if tensor.name not in scales:
            initializers.append(tensor)
            continue
        scale, grid = scales[tensor.name]
        name = tensor.name
        initializers += [
            numpy_helper.from_array(grid.astype(np.int8), name + ".int8"),
            numpy_helper.from_array(scale.astype(np.float32), name + ".scale"),
            numpy_helper.from_array(np.zeros(scale.shape, np.int8), name + ".zero_point")]
        nodes.append(helper.make_node("DequantizeLinear",
                                      [name + ".int8", name + ".scale", name + ".zero_point"],
                                      [name], axis=0))
    _graph_with(model, initializers, nodes)


def keras_model(network):
    """fixture_networks.Keras as tf2onnx writes it: an NHWC input, rescaling inside, transposes, SAME
    padding by auto_pad, batch norm of its own, ReduceMean, MatMul + Add, Softmax."""
    array = lambda tensor: tensor.detach().numpy()
    constants = {
        "scale": np.float32(1 / 127.5), "one": np.float32(1.0),
        "stem/w": array(network.stem.weight), "norm/gamma": array(network.norm.weight),
        "norm/beta": array(network.norm.bias), "norm/mean": array(network.norm.running_mean),
        "norm/var": array(network.norm.running_var),
        "depthwise/w": array(network.depthwise.weight),
        "depthwise/b": array(network.depthwise.bias),
        "top/w": array(network.top_conv.weight), "top/b": array(network.top_conv.bias),
        "zero": np.float32(0), "six": np.float32(6),
        "head/w": array(network.head.weight).T.copy(), "head/b": array(network.head.bias)}
    node = helper.make_node
    nodes = [
        node("Mul", ["image", "scale"], ["rescaled"]),
        node("Sub", ["rescaled", "one"], ["centred"]),
        node("Transpose", ["centred"], ["nchw"], perm=[0, 3, 1, 2]),
        node("Conv", ["nchw", "stem/w"], ["stem"], strides=[2, 2], kernel_shape=[3, 3],
             auto_pad="SAME_UPPER"),
        node("BatchNormalization", ["stem", "norm/gamma", "norm/beta", "norm/mean", "norm/var"],
             ["norm"], epsilon=1e-3),
        node("Sigmoid", ["norm"], ["gate"]),
        node("Mul", ["norm", "gate"], ["swish"]),
        node("MaxPool", ["swish"], ["pool"], kernel_shape=[3, 3], strides=[1, 1],
             auto_pad="SAME_UPPER"),
        node("Conv", ["pool", "depthwise/w", "depthwise/b"], ["depthwise"], strides=[2, 2],
             kernel_shape=[5, 5], group=8, auto_pad="SAME_UPPER"),
        node("Clip", ["depthwise", "zero", "six"], ["relu6"]),
        # tf2onnx leaves pairs of transposes around what it does not know to be layout-free.
        node("Transpose", ["relu6"], ["relu6/nhwc"], perm=[0, 2, 3, 1]),
        node("Transpose", ["relu6/nhwc"], ["relu6/nchw"], perm=[0, 3, 1, 2]),
        node("Conv", ["relu6/nchw", "top/w", "top/b"], ["top_conv"], kernel_shape=[1, 1],
             auto_pad="VALID"),
        node("Sigmoid", ["top_conv"], ["top/gate"]),
        node("Mul", ["top_conv", "top/gate"], ["top_activation"]),
        node("Transpose", ["top_activation"], ["top/nhwc"], perm=[0, 2, 3, 1]),
        node("ReduceMean", ["top/nhwc"], ["pooled"], axes=[1, 2], keepdims=0),
        node("MatMul", ["pooled", "head/w"], ["dense"]),
        node("Add", ["dense", "head/b"], ["biased"]),
        node("Softmax", ["biased"], ["logits"], axis=-1)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "keras", [value("image", TensorProto.FLOAT, ["batch", 26, 27, 3])],
        [value("logits", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    return helper.make_model(graph, producer_name="tf2onnx-like", ir_version=7,
                             opset_imports=[helper.make_opsetid("", 13)])


def save_with_external_data(model, folder):
    onnx.save(model, str(folder / "model.onnx"), save_as_external_data=True,
              all_tensors_to_one_file=True, location="weights.bin", size_threshold=256)
