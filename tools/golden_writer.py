"""Torch network in, ONNX file and goldens out. Used by make_reference_models.py (torchvision's
networks, full size, never committed) and tests/golden/make_fixtures.py (tiny ones, committed).

Runs under Debian's /usr/bin/python3 with python3-torch, python3-torchvision and python3-onnx.

A watched value (a heatmap's target) is found in the ONNX graph without guessing: the network is
exported with that value as an additional output, whose name we choose; afterwards the output
is taken off the list, and the value keeps its name. The last convolution of a network with batch
norm is watched *behind* the batch norm: the exporter may fold the two, and only that value
exists in both forms.
"""

import warnings

import numpy as np
import onnx
import torch
from torch import nn
from torch.onnx import TrainingMode

import golden_files

# Random networks with batch norm are chaotic: each ReLU behind a norm without bias magnifies a
# rounding error by 1.2, and two correct fp32 implementations differ by 1e-4 after fifty layers. Biases
# that let most values pass, and residual branches that are small corrections, as training leaves
# them, bring that down to 1e-5.
RESIDUAL_BLOCKS = {"BasicBlock", "Bottleneck", "MBConv", "FusedMBConv", "InvertedResidual",
                   "_InvertedResidual", "ResBottleneckBlock"}
SHORTCUTS = ("downsample", "proj", "branch1")


def pictures(count, height, width, seed, channels=3):
    """Synthetic pictures, about zero mean and unit deviation: soft blobs, stripes and noise.

    They differ in brightness, colour and scale, as photos do, so that logits differ too.
    """
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    batch = np.empty((count, channels, height, width), np.float32)
    for picture in batch:
        picture[:] = 0.5 * random.randn(channels, 1, 1)
        for _ in range(12):
            cx, cy = random.rand(2)
            radius = 0.04 + 0.3 * random.rand()
            blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
            picture += 0.9 * random.randn(channels, 1, 1) * blob
        angle, waves = random.rand() * np.pi, 3 + 25 * random.rand()
        stripes = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)))
        picture += 0.3 * random.randn(channels, 1, 1) * stripes
        picture += 0.1 * random.randn(channels, height, width)
    return torch.from_numpy(batch)


def prepare(network, seed):
    """Eval mode without anything random or in place; weights that keep activations alive."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
        if type(module).__name__ == "StochasticDepth":
            module.p = 0.0
        if hasattr(module, "layer_scale"):  # ConvNeXt: 1e-6 at first, which hides its blocks
            module.layer_scale.data.fill_(0.5)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.weight.data.uniform_(0.6, 1.4, generator=generator)
            module.bias.data.normal_(0.5, 0.3, generator=generator)
            module.momentum = 1.0
    for module in network.modules():
        if type(module).__name__ in RESIDUAL_BLOCKS:
            norms = [m for name, m in module.named_modules()
                     if isinstance(m, nn.BatchNorm2d) and not name.startswith(SHORTCUTS)]
            norms[-1].weight.data *= 0.3
    return network.eval()


def _set_batch_norms(network, training):
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train(training)


def calibrate(network, batch, plain_layers):
    """Gives batch norms the batch's statistics and centres the logits over it.

    With default statistics, logits are below 1e-4 and an engine that prints zeros passes.
    `plain_layers`: the network has no batch norm, so each convolution and linear layer is scaled,
    in the order of execution, until its outputs have unit deviation.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    handles = []
    if plain_layers:

        def to_unit_deviation(module, _inputs, output):
            scale = float(output.std())
            module.weight.data /= scale
            if module.bias is not None:
                module.bias.data /= scale
            return output / scale

        handles = [layer.register_forward_hook(to_unit_deviation) for layer in layers]
    _set_batch_norms(network, True)
    with torch.no_grad():
        network(batch)
    _set_batch_norms(network, False)
    for handle in handles:
        handle.remove()

    head = layers[-1]
    seen = []
    handle = head.register_forward_hook(lambda _m, _i, output: seen.append(output.detach()))
    with torch.no_grad():
        network(batch)
    handle.remove()
    over = [0] if seen[0].ndim == 2 else [0, 2, 3]
    scale = 2.0 / float((seen[0] - seen[0].mean(over, keepdim=True)).std())
    head.weight.data *= scale
    head.bias.data = (head.bias.data - seen[0].mean(over)) * scale


class Watched(nn.Module):
    """The network, returning (logits, watched value, ...)."""

    def __init__(self, network, paths):
        super().__init__()
        self.network = network
        self.paths = paths

    def forward(self, x):
        found = {}
        modules = dict(self.network.named_modules())
        handles = []
        for path in self.paths:

            def keep(_module, _inputs, output, path=path):
                found[path] = output

            handles.append(modules[path].register_forward_hook(keep))
        logits = self.network(x)
        for handle in handles:
            handle.remove()
        return (logits, *(found[path] for path in self.paths))


def export(network, example, layers, path, opset=13, folded=True, dynamic_batch=False):
    """Writes the ONNX file. `layers` maps a kind ("last_conv") to a module's path.

    Returns kind -> name of the ONNX value."""
    kinds = list(layers)
    names = ["logits"] + [f"watch_{kind}" for kind in kinds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Watched(network, list(layers.values())).eval(), example, str(path),
            opset_version=opset, input_names=["image"], output_names=names,
            do_constant_folding=folded,
            training=TrainingMode.EVAL if folded else TrainingMode.PRESERVE,
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}} if dynamic_batch else None,
        )
    model = onnx.load(str(path))
    result = {kind: output.name for kind, output in zip(kinds, model.graph.output[1:])}
    logits = model.graph.output[0]
    del model.graph.output[:]
    model.graph.output.extend([logits])
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return result


def run(network, layers, x):
    """(logits, {kind: (activation, gradient of the top logit)}) by autograd, as numpy."""
    outputs = Watched(network, list(layers.values()))(x)
    logits, values = outputs[0], outputs[1:]
    top = int(logits[0].argmax())
    gradients = torch.autograd.grad(logits[0, top], values) if values else ()
    array = lambda tensor: tensor.detach().numpy()
    return array(logits), {
        kind: (array(value), array(gradient))
        for kind, value, gradient in zip(layers, values, gradients)
    }


def write_goldens(network, first, second, layers, names, folder, facts, with_double=False):
    """Writes input, logits, activations, gradients, Grad-CAM grids and manifest.json.

    `first` and `second` are inputs of batch 1; all goldens but second_logits belong to `first`.
    `with_double` also runs in fp64 and records how far fp32 autograd itself is from it."""
    logits, values = run(network, layers, first)
    with torch.no_grad():
        second_logits = network(second).numpy()
    exact = {}
    if with_double:
        _, exact = run(network.double(), layers, first.double())
        network.float()

    return golden_files.write(
        folder, facts, (first.numpy(), second.numpy()), (logits, second_logits),
        [(kind, names[kind], layers[kind], *arrays) for kind, arrays in values.items()],
        {kind: arrays[1] for kind, arrays in exact.items()})
