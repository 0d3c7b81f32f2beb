#!/usr/bin/env python3
"""Makes the committed golden fixtures that come from exporters Debian does not have.

  tests/golden/make_foreign_fixtures.py tf2onnx|tf2onnx_transposed|dynamo [-o tests/golden/fixtures]

`tf2onnx`: a Keras network as tf2onnx writes it, goldens by Keras and GradientTape. Needs, in an
environment of its own: pip install tensorflow-cpu==2.21.0 keras==3.15.1 tf2onnx==1.17.0 onnxruntime
`tf2onnx_transposed`: the same with hard-swish as Keras' MobileNetV3 spells it, on which tf2onnx's
optimiser gives up: every convolution stands between two transposes.
`dynamo`: a PyTorch network as torch.onnx's torch.export-based exporter writes it, goldens by PyTorch.
Needs: pip install torch==2.15.0 onnxscript==0.7.2

Each manifest.json repeats the versions. README.md beside this file says what each is for.
"""

import argparse
import pathlib
import shutil
import sys

import numpy as np
import onnx

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))

import golden_files  # noqa: E402

SEED = 20240608


def picture_values(count, size):
    """Soft pictures, 0..255, NHWC."""
    random = np.random.default_rng(SEED)
    coarse = random.uniform(0, 255, (count, 5, 5, 3)) + random.uniform(-60, 60, (count, 1, 1, 3))
    rows = np.linspace(0, 4, size).astype(int)
    fine = coarse[:, rows][:, :, rows] + random.normal(0, 12, (count, size, size, 3))
    return np.clip(fine, 0, 255).astype(np.float32)


def keras_network(size, spelled_out):
    """What Keras' mobile networks are made of, small: rescaling inside, SAME and one-sided padding,
    a depthwise convolution, hard-swish (or SiLU), squeeze-excite, a residual sum."""
    from keras import Input, Model, layers, ops

    def gate_of(x):
        return layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0) if spelled_out else ops.sigmoid(x)

    def norm(x, name):
        return layers.BatchNormalization(momentum=0.0, name=name)(x)

    image = Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = norm(x, "stem")
    x = x * gate_of(x)
    shortcut = x
    x = norm(layers.Conv2D(16, 1, use_bias=False)(x), "expand")
    x = layers.ReLU(6.0)(x)
    x = norm(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x), "depthwise")
    x = ops.silu(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="relu", bias_initializer="random_normal")(gate)
    x = x * gate_of(layers.Conv2D(16, 1)(gate))
    x = norm(layers.Conv2D(8, 1, use_bias=False)(x), "project")
    x = layers.Add(name="block1")([shortcut, x])
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(16, 3, strides=2, padding="valid", use_bias=False)(x)
    x = norm(x, "top_norm")
    x = layers.Activation("relu", name="top")(x)
    x = layers.AveragePooling2D(2, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(5, kernel_initializer="random_normal", name="logits")(x * 8.0)
    return Model(image, layers.Softmax()(x))


def values_of(model, x):
    """Every value of an ONNX model that has four dimensions, by name, as ONNX Runtime computes it."""
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    for node in model.graph.node:
        watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    session = onnxruntime.InferenceSession(watched.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, {"image": x})))
    return {name: value for name, value in found.items() if value.ndim == 4}


def find(values, wanted):
    """(name, permutation) of the first value that is `wanted` (NHWC), turned by the exporter or not."""
    for name, value in values.items():
        for turned in ((0, 3, 1, 2), (0, 1, 2, 3)):
            expected = wanted.transpose(turned)
            if value.shape == expected.shape and np.allclose(value, expected, atol=1e-4):
                return name, turned
    raise SystemExit("the exporter's graph holds no value that a layer of Keras computes")


def make_tf2onnx(folder, spelled_out=False):
    import keras
    import tensorflow
    import tf2onnx

    keras.utils.set_random_seed(SEED)
    size = 31
    network = keras_network(size, spelled_out)
    batch = picture_values(8, size)
    network(batch, training=True)  # batch statistics, momentum 0
    # Without transposes of its own, the graph has the picture's form to show a heatmap of.
    watched = {"first_block" if spelled_out else "top": "top", "middle": "block1"}
    probe = keras.Model(network.input,
                        [*[network.get_layer(name).output for name in watched.values()],
                         network.output])
    first, second = batch[:1], batch[1:2]
    with tensorflow.GradientTape(persistent=True) as tape:
        tape.watch(first := tensorflow.convert_to_tensor(first))
        *values, scores = probe(first, training=False)
        top = scores[0, int(np.argmax(scores[0]))]
    gradients = [tape.gradient(top, value).numpy() for value in values]

    run = tensorflow.function(lambda image: network(image, training=False), input_signature=[
        tensorflow.TensorSpec((None, size, size, 3), tensorflow.float32, name="image")])
    model, _ = tf2onnx.convert.from_function(run, input_signature=run.input_signature, opset=15,
                                             output_path=str(folder / "model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    by_name = values_of(model, first.numpy())
    layers = []
    for (kind, layer), value, gradient in zip(watched.items(), values, gradients):
        name, turned = find(by_name, value.numpy())
        layers.append((kind, name, layer, value.numpy().transpose(turned),
                       gradient.transpose(turned)))
    facts = {"model": folder.name, "onnx": "model.onnx", "opset": 15, "dynamic_batch": True,
             "kinks": True, "quantized": False, "output": model.graph.output[0].name,
             "made_by": {"tensorflow": tensorflow.__version__, "keras": keras.__version__,
                         "tf2onnx": tf2onnx.__version__, "seed": SEED},
             "channels_last": True, "softmax_inside": True}
    golden_files.write(folder, facts, (first.numpy(), second),
                       (scores.numpy(), network(second, training=False).numpy()), layers, {})


def torch_network():
    """A squeeze-excite block, a ConvNeXt block, a channel shuffle and a split."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8),
                                      nn.SiLU())
            self.depthwise = nn.Conv2d(8, 8, 7, padding=3, groups=8)
            self.norm = nn.LayerNorm(8)
            self.block = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.Mish(),
                                      nn.Conv2d(4, 8, 1), nn.Sigmoid())
            self.middle = nn.Identity()
            self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4))
            self.pool = nn.AvgPool2d(3, 2, 1)
            self.last_conv = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16))
            self.auto = nn.SiLU()
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))

        def forward(self, x):
            x = self.stem(x)
            y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
            x = x + self.block(y).permute(0, 3, 1, 2)
            x = self.middle(x * self.gate(x))
            left, right = x.chunk(2, dim=1)
            x = torch.cat((self.branch(left), self.pool(right)), 1)
            n, c, h, w = x.shape
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            return self.head(self.auto(self.last_conv(x)))

    return Network()


def make_dynamo(folder):
    import golden_writer
    import torch

    torch.manual_seed(SEED)
    watched = {"last_conv": "last_conv", "auto": "auto", "middle": "middle"}
    network = torch_network()
    golden_writer.prepare(network, SEED)
    batch = golden_writer.pictures(8, 27, 27, SEED + 1)
    golden_writer.calibrate(network, batch, plain_layers=False)
    names = ["logits", *[f"watch_{kind}" for kind in watched]]
    program = torch.onnx.export(golden_writer.Watched(network, list(watched.values())).eval(),
                                (batch[:1],), dynamo=True, opset_version=18, verbose=False,
                                input_names=["image"], output_names=names)
    model = program.model_proto
    del model.graph.output[1:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(folder / "model.onnx"))
    facts = {"model": folder.name, "onnx": "model.onnx", "opset": 18, "dynamic_batch": False,
             "kinks": False, "quantized": False,
             "made_by": {"torch": torch.__version__.split("+")[0], "onnx": onnx.__version__,
                         "seed": SEED}}
    golden_writer.write_goldens(network, batch[:1], batch[1:2], watched,
                                {kind: f"watch_{kind}" for kind in watched}, folder, facts,
                                with_double=True)


MAKERS = {"tf2onnx": make_tf2onnx, "dynamo": make_dynamo,
          "tf2onnx_transposed": lambda folder: make_tf2onnx(folder, spelled_out=True)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("exporter", choices=list(MAKERS))
    parser.add_argument("-o", "--output", type=pathlib.Path, default=HERE / "fixtures")
    arguments = parser.parse_args()
    folder = arguments.output / arguments.exporter
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    MAKERS[arguments.exporter](folder)
    print(f"{folder.name}: {sum(f.stat().st_size for f in folder.iterdir()) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
