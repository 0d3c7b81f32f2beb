#!/usr/bin/python3
"""PyTorch on the CPU: the forward pass, or the forward pass and Grad-CAM by autograd.

  pytorch_peer.py INPUT.npy [--gradcam] [--threads 1] [--runs 10]

EfficientNetV2-S with seven classes and random weights: time and memory do not depend on them.
Several clients are threads that share the network.
"""

import argparse

import numpy as np
import torch
import torchvision

import measure


def grad_cam(network, x):
    """As the seed does it: the last convolution's output, the top class's probability."""
    convolution, norm, activation = network.features[7]
    seen = convolution(network.features[:7](x))
    pooled = network.avgpool(activation(norm(seen))).flatten(1)
    probabilities = torch.softmax(network.classifier(pooled), 1)
    gradient, = torch.autograd.grad(probabilities[0].max(), seen)
    grid = (gradient.mean((2, 3), keepdim=True) * seen).sum(1).relu()
    return probabilities, grid / grid.max().clamp_min(1e-12)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input")
    parser.add_argument("--gradcam", action="store_true")
    measure.add_options(parser, runs=10)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)  # of each call
    network = torchvision.models.efficientnet_v2_s(weights=None, num_classes=7).eval()
    x = torch.from_numpy(np.load(arguments.input))

    def forward():
        with torch.no_grad():
            return network(x)

    work = (lambda: grad_cam(network, x)) if arguments.gradcam else forward
    measure.run_and_report("pytorch", "autograd" if arguments.gradcam else "inference",
                           arguments.gradcam, work, arguments, version=torch.__version__)


if __name__ == "__main__":
    main()
