#!/usr/bin/python3
"""Makes torchvision's classification networks as ONNX files, with goldens from PyTorch.

  tools/make_reference_models.py [NAME...] [-o build/reference] [--opset 13] [--bn both]

NAME is one of those --list prints, or "gradients" (the five whose gradients the tests compare, the
default) or "all". Weights are random but seeded, batch-norm statistics are calibrated over
synthetic pictures; memory and time do not depend on what the weights mean. Each network gets a
folder: model.onnx (batch norm folded), model-unfolded.onnx where it has any, .npy goldens and
manifest.json. Hundreds of MB: a cache, never committed. A folder whose manifest was written with the
same options by the same versions is kept.

Needs Debian's python3-torch, python3-torchvision, python3-onnx.
"""

import argparse
import json
import pathlib
import sys
import time

import torch
import torchvision

import golden_writer as writer

SEED = 20240607
RECIPE = 3  # raised when the recipe changes, so that caches are made anew
CLASSES = 7

# kinks: ReLU, hard-swish, max-pool: gradients far back differ between correct fp32 implementations.
# ConvNeXt runs at 160 pixels, since PyTorch 1.13's depthwise 7x7 takes seconds at 224.
# Layers: kind -> module whose output is watched (behind the batch norm, see golden_writer).
NETWORKS = {
    "efficientnet_v2_s": dict(size=300, kinks=False, layers={
        "last_conv": "features.7.1", "auto": "features.7", "middle": "features.4.3",
        "first_block": "features.1.0"}),
    "resnet50": dict(kinks=True, layers={
        "last_conv": "layer4.2.bn3", "auto": "layer4", "middle": "layer2.3",
        "first_block": "layer1.0"}),
    "mobilenet_v3_large": dict(kinks=True, layers={
        "last_conv": "features.16.1", "auto": "features.16", "middle": "features.8",
        "first_block": "features.1"}),
    "densenet121": dict(kinks=True, layers={
        "last_conv": "features.denseblock4.denselayer16.conv2", "auto": "features.norm5",
        "middle": "features.transition2", "first_block": "features.denseblock1.denselayer1"}),
    "convnext_tiny": dict(size=160, kinks=False, plain=True, layers={
        "last_conv": "features.7.2.block.0", "auto": "features.7", "middle": "features.5.4",
        "first_block": "features.1.0"}),
    "alexnet": dict(kinks=True, plain=True, layers={"last_conv": "features.10"}),
    "vgg11": dict(kinks=True, plain=True, layers={"last_conv": "features.18"}),
    "resnext50_32x4d": dict(kinks=True, layers={"last_conv": "layer4.2.bn3"}),
    "squeezenet1_1": dict(kinks=True, plain=True, layers={"last_conv": "classifier.1"}),
    "googlenet": dict(kinks=True, layers={"auto": "inception5b"},
                      options=dict(aux_logits=False, init_weights=False)),
    "inception_v3": dict(size=299, kinks=True, layers={"auto": "Mixed_7c"},
                         options=dict(aux_logits=False, init_weights=False)),
    "mobilenet_v2": dict(kinks=True, layers={"last_conv": "features.18.1"}),
    "mnasnet1_0": dict(kinks=True, layers={"last_conv": "layers.15"}),
    "shufflenet_v2_x1_0": dict(kinks=True, layers={"last_conv": "conv5.1"}),
    "efficientnet_b0": dict(kinks=False, layers={"last_conv": "features.8.1"}),
    "regnet_y_400mf": dict(kinks=True, layers={"auto": "trunk_output"}),
}
GRADIENTS = list(NETWORKS)[:5]


def facts_of(name, arguments):
    return {
        "model": name,
        "onnx": "model.onnx",
        "opset": arguments.opset,
        "dynamic_batch": arguments.dynamic_batch,
        "kinks": NETWORKS[name]["kinks"],
        "made_by": {"torch": torch.__version__, "torchvision": torchvision.__version__,
                    "seed": SEED, "recipe": RECIPE, "bn": arguments.bn,
                    "fp64": arguments.fp64},
    }


def make(name, arguments):
    recipe = NETWORKS[name]
    folder = pathlib.Path(arguments.output) / name
    facts = facts_of(name, arguments)
    manifest_path = folder / "manifest.json"
    if manifest_path.exists() and not arguments.force:
        old = json.loads(manifest_path.read_text())
        if all(old.get(key) == value for key, value in facts.items()):
            return "kept"
    folder.mkdir(parents=True, exist_ok=True)
    manifest_path.unlink(missing_ok=True)

    torch.manual_seed(SEED)
    network = getattr(torchvision.models, name)(
        weights=None, num_classes=CLASSES, **recipe.get("options", {}))
    if recipe.get("options"):
        for parameter in network.parameters():  # their own initialisation takes minutes
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter)
    size = recipe.get("size", 224)
    writer.prepare(network, SEED)
    plain = recipe.get("plain", False)
    batch = writer.pictures(3 if plain else 12, size, size, SEED + 1)
    writer.calibrate(network, batch, plain)
    first, second = batch[:1], batch[1:2]

    def export(file, folded):
        return writer.export(network, first, recipe["layers"], folder / file, opset=arguments.opset,
                             folded=folded, dynamic_batch=arguments.dynamic_batch)

    names = export("model.onnx", folded=arguments.bn != "unfolded")
    has_batch_norm = any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    if arguments.bn == "both" and has_batch_norm:
        facts["onnx_unfolded"] = "model-unfolded.onnx"
        if export("model-unfolded.onnx", folded=False) != names:
            raise SystemExit(f"{name}: the watched values are named differently when unfolded")
    manifest = writer.write_goldens(network, first, second, recipe["layers"], names, folder, facts,
                                    with_double=arguments.fp64)
    return f"logits differ by {manifest['logit_spread']:.0%} between two pictures"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=["gradients"], metavar="NAME")
    parser.add_argument("-o", "--output", default="build/reference")
    parser.add_argument("--opset", type=int, default=13, choices=range(9, 18))
    parser.add_argument("--bn", choices=("folded", "unfolded", "both"), default="both")
    parser.add_argument("--dynamic-batch", action="store_true")
    parser.add_argument("--fp64", action="store_true",
                        help="record how far PyTorch's fp32 gradients are from its fp64 ones")
    parser.add_argument("--force", action="store_true", help="make again what is there")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(NETWORKS))
        return
    torch.set_num_threads(arguments.threads)
    names = []
    for name in arguments.names:
        names += {"gradients": GRADIENTS, "all": list(NETWORKS)}.get(name, [name])
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        parser.error(f"unknown network {unknown[0]}; --list names them")
    for name in names:
        start = time.monotonic()
        note = make(name, arguments)
        print(f"{name}: {note} ({time.monotonic() - start:.1f} s)", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
