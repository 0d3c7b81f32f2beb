#!/usr/bin/env python3
"""Writes goldens/: what pytorch-grad-cam's own classes make of one activation and one gradient.

  python3 -m venv --system-site-packages VENV
  VENV/bin/pip install --no-deps grad-cam==1.5.7 ttach tqdm opencv-python-headless
  VENV/bin/python tests/unit/diagnose/make_cam_goldens.py

Needs torch, scikit-learn and matplotlib too. The grid is taken before the library enlarges it; ReLU
and the division by the maximum are applied here. Eigen-CAM's sign is arbitrary in NumPy's SVD: it is
turned so that it correlates with the mean activation, as ours is.
"""

import pathlib

import numpy as np
from pytorch_grad_cam import (EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM)

METHODS = {
    "gradcam": GradCAM,
    "gradcam++": GradCAMPlusPlus,
    "hirescam": HiResCAM,
    "xgradcam": XGradCAM,
    "layercam": LayerCAM,
    "eigencam": EigenCAM,
}


def main():
    folder = pathlib.Path(__file__).parent / "goldens"
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(20240609)
    activation = np.maximum(random.normal(0.3, 1.0, (1, 6, 5, 4)), 0).astype(np.float32)
    gradient = random.normal(0.05, 0.4, (1, 6, 5, 4)).astype(np.float32)
    np.save(folder / "activation.npy", activation)
    np.save(folder / "gradient.npy", gradient)
    for name, kind in METHODS.items():
        cam = kind.__new__(kind)  # the formula alone: no network, no hooks
        grid = cam.get_cam_image(None, None, None, activation.copy(), gradient.copy(), False)[0]
        if name == "eigencam" and np.sum(grid * activation[0].sum(0)) < np.sum(grid) * activation[0].sum() / grid.size:
            grid = -grid
        grid = np.maximum(grid, 0)
        np.save(folder / f"{name}.npy", (grid / grid.max()).astype(np.float32))


if __name__ == "__main__":
    main()
