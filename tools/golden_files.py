"""The files of a golden folder (tests/golden/README.md), from NumPy arrays of any framework."""

import json
import pathlib

import numpy as np

# The kinds of layer whose Grad-CAM grid is a golden too; their values are NCHW.
HEATMAPS = ("last_conv", "auto", "top")


def grad_cam(activation, gradient):
    """Selvaraju et al.: channel weights are the gradient's means; ReLU; divided by the maximum."""
    weights = gradient.mean(axis=(2, 3), keepdims=True)
    grid = np.maximum((weights * activation).sum(axis=1)[0], 0)
    return grid / grid.max() if grid.max() > 0 else grid


def relative_l2(a, b):
    return float(np.linalg.norm((a - b).ravel()) / max(np.linalg.norm(b.ravel()), 1e-30))


def write(folder, facts, inputs, logits, layers, exact):
    """Writes input, logits, activations, gradients, Grad-CAM grids and manifest.json.

    `inputs` and `logits`: of two pictures, batch 1. `layers`: (kind, ONNX value, the framework's
    name for it, activation, gradient of the top logit) of the first picture. `exact`: kind ->
    the same gradient computed in fp64, where it is known."""
    folder = pathlib.Path(folder)
    spread = float(np.abs(logits[0] - logits[1]).max() / np.abs(logits[0]).max())
    if not spread > 0.05:
        raise SystemExit(f"{facts['model']}: the logits of two pictures differ by {spread:.1%} only")

    def save(name, array):
        np.save(folder / name, np.ascontiguousarray(array, np.float32))
        return name

    manifest = dict(facts)
    manifest |= {
        "input": "image",
        "input_file": save("input.npy", inputs[0]),
        "second_input_file": save("second_input.npy", inputs[1]),
        "output": manifest.get("output", "logits"),
        "logits_file": save("logits.npy", logits[0]),
        "second_logits_file": save("second_logits.npy", logits[1]),
        "logit_spread": round(spread, 4),
        "class_index": int(logits[0][0].argmax()),
        "layers": [],
    }
    for kind, name, module, activation, gradient in layers:
        entry = {
            "name": name,
            "kind": kind,
            "module": module,
            "shape": list(activation.shape),
            "act": save(f"layer_{kind}.npy", activation),
            "grad": save(f"grad_{kind}.npy", gradient),
        }
        if kind in HEATMAPS:
            entry["cam"] = save(f"cam_{kind}.npy", grad_cam(activation, gradient))
        if kind in exact:
            entry["fp32_against_fp64_l2"] = float(f"{relative_l2(gradient, exact[kind]):.2e}")
        manifest["layers"].append(entry)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest
