#!/usr/bin/python3
"""Makes the committed golden fixtures: mini networks as ONNX files with goldens from PyTorch.

  tests/golden/make_fixtures.py [NAME...] [-o tests/golden/fixtures]

README.md beside this file says what each is for. Needs Debian's python3-torch and python3-onnx.
"""

import argparse
import pathlib
import shutil
import sys

import numpy as np
import onnx
import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))

import fixture_networks as networks  # noqa: E402
import fixture_rewrites as rewrites  # noqa: E402
import golden_writer as writer  # noqa: E402

SEED = 20240608
SILU = lambda: networks.Mobile(nn.SiLU, nn.Sigmoid, nn.SiLU)
HARD_SWISH = lambda: networks.Mobile(nn.Hardswish, nn.Hardsigmoid, nn.ReLU)
MOBILE_LAYERS = {"last_conv": "top.1", "auto": "top", "middle": "block1"}
RESIDUAL_LAYERS = {"last_conv": "block2.downsample.1", "auto": "block2", "middle": "block1"}

# name -> network, layers, kinks, and how it is exported or rewritten
FIXTURES = {
    "residual": dict(network=networks.Residual, kinks=True, opset=11, folded=False,
                     layers=RESIDUAL_LAYERS),
    "mbconv": dict(network=SILU, kinks=False, opset=13, dynamic_batch=True, layers=MOBILE_LAYERS),
    "mbconv_unfolded": dict(network=SILU, kinks=False, opset=15, folded=False,
                            layers=MOBILE_LAYERS),
    "hardswish": dict(network=HARD_SWISH, kinks=True, opset=14, layers=MOBILE_LAYERS),
    "hardswish_opset9": dict(network=HARD_SWISH, kinks=True, opset=9, layers=MOBILE_LAYERS),
    "depthwise": dict(network=networks.Depthwise, kinks=True, opset=10,
                      layers={"last_conv": "top.1", "auto": "top", "middle": "block1"}),
    "dense": dict(network=networks.Dense, kinks=True, opset=13, folded=False,
                  layers={"last_conv": "layer3.conv2", "auto": "norm", "middle": "transition"}),
    "convnext": dict(network=networks.ConvNeXt, kinks=False, plain=True, opset=13, size=32,
                     layers={"last_conv": "block2.depthwise", "auto": "block2",
                             "middle": "block1"}),
    "convnext_opset17": dict(network=networks.ConvNeXt, kinks=False, plain=True, opset=17, size=32,
                             layers={"last_conv": "block2.depthwise", "auto": "block2"}),
    "shuffle": dict(network=networks.Shuffle, kinks=True, opset=12, dynamic_batch=True,
                    layers={"last_conv": "top.1", "auto": "top", "middle": "branch"}),
    "branches": dict(network=networks.Branches, kinks=True, opset=13,
                     layers={"last_conv": "top.1", "auto": "top", "middle": "wide"}),
    "fp16_weights": dict(network=networks.Residual, kinks=True, opset=13, weights="fp16",
                         layers=RESIDUAL_LAYERS, rewrite=rewrites.weights_as_fp16),
    "bf16_weights": dict(network=networks.Residual, kinks=True, opset=13, weights="bf16",
                         layers=RESIDUAL_LAYERS, rewrite=rewrites.weights_as_bf16),
    "fp16_graph": dict(network=networks.Residual, kinks=True, opset=13, weights="fp16 all",
                       layers=RESIDUAL_LAYERS, rewrite=rewrites.whole_graph_fp16),
    "external_data": dict(network=SILU, kinks=False, opset=13, layers=MOBILE_LAYERS,
                          external=True),
    "int8_qdq": dict(network=networks.Quantized, kinks=True, plain=True, opset=13, quantized=True,
                     layers={"auto": "watch"}),
    "keras": dict(network=networks.Keras, kinks=True, plain=True, keras=True,
                  layers={"last_conv": "top_conv", "auto": "top_activation"}),
}


def round_weights(network, how):
    """Gives the torch network the values that the ONNX file's narrow weights stand for.

    The exporter folds batch norm, so rounding happens on the folded weights: the network is rebuilt
    from them as plain convolutions with bias."""
    fold_batch_norms(network)
    for parameter in network.parameters():
        if parameter.ndim < 2 and how != "fp16 all":
            continue
        if how.startswith("fp16"):
            parameter.data = parameter.data.half().float()
        else:  # bf16: cut off, as fixture_rewrites does
            bits = parameter.data.numpy().view(np.uint32) & np.uint32(0xFFFF0000)
            parameter.data = torch.from_numpy(bits.view(np.float32))


def fold_batch_norms(network):
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for i in range(len(module) - 1):
            conv, norm = module[i], module[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[i] = torch.nn.utils.fuse_conv_bn_eval(conv, norm)
                module[i + 1] = nn.Identity()


def make_keras(recipe, folder, facts):
    network = networks.Keras()
    writer.prepare(network, SEED)
    batch = (writer.pictures(8, 26, 27, SEED + 1) * 50 + 127).clamp(0, 255)
    batch = batch.permute(0, 2, 3, 1).contiguous()
    network.forward, probabilities = network.logits, network.forward
    writer.calibrate(network, batch, plain_layers=True)
    network.forward = probabilities
    model = rewrites.keras_model(network)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(folder / "model.onnx"))
    names = {kind: module for kind, module in recipe["layers"].items()}
    facts |= {"channels_last": True, "softmax_inside": True}
    return network, batch, names


def make_exported(recipe, folder):
    network = recipe["network"]()
    writer.prepare(network, SEED)
    size = recipe.get("size", 27)
    batch = writer.pictures(8, size, size, SEED + 1)
    writer.calibrate(network, batch, recipe.get("plain", False))
    if recipe.get("quantized"):
        network.freeze()
    if "weights" in recipe:
        round_weights(network, recipe["weights"])
        batch = batch.half().float()
    path = folder / "model.onnx"
    names = writer.export(network, batch[:1], recipe["layers"], path, opset=recipe["opset"],
                          folded=recipe.get("folded", True),
                          dynamic_batch=recipe.get("dynamic_batch", False))
    model = onnx.load(str(path))
    if "rewrite" in recipe:
        recipe["rewrite"](model)
    if recipe.get("quantized"):
        rewrites.weights_as_int8(model, {
            f"network.{name}.weight": (scale.numpy(), grid.numpy())
            for name, (scale, grid) in network.scales.items()})
    onnx.checker.check_model(model)
    if recipe.get("external"):
        rewrites.save_with_external_data(model, folder)
    else:
        onnx.save(model, str(path))
    return network, batch, names


def make(name, output):
    recipe = FIXTURES[name]
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(SEED)
    facts = {"model": name, "onnx": "model.onnx", "opset": recipe.get("opset", 13),
             "dynamic_batch": recipe.get("dynamic_batch", False), "kinks": recipe["kinks"],
             "quantized": recipe.get("quantized", False),
             "made_by": {"torch": torch.__version__, "onnx": onnx.__version__, "seed": SEED}}
    if recipe.get("keras"):
        network, batch, names = make_keras(recipe, folder, facts)
    else:
        network, batch, names = make_exported(recipe, folder)
    exact = not recipe.get("quantized")  # in fp64 other values fall on the other side of a half
    writer.write_goldens(network, batch[:1], batch[1:2], recipe["layers"], names, folder, facts,
                         with_double=exact)
    return sum(file.stat().st_size for file in folder.iterdir())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(FIXTURES))
    parser.add_argument("-o", "--output", type=pathlib.Path, default=HERE / "fixtures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.names:
        if name not in FIXTURES:
            parser.error(f"unknown fixture {name}; there are {' '.join(FIXTURES)}")
        print(f"{name}: {make(name, arguments.output) / 1000:.0f} KB", flush=True)


if __name__ == "__main__":
    main()
