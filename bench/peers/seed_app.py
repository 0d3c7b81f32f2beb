"""A minimal copy of the seed's server: Flask, PyTorch, the model loaded at the first request,
Grad-CAM by autograd on the probability at the last convolution, jet, alpha 0.4, PNG.

  gunicorn --workers 1 --threads 2 seed_app:app

The seed's route and JSON; EfficientNetV2-S with random weights (time and memory do not depend on
them). The seed ran TensorFlow, which needs more of both.
"""

import base64
import gc
import io
import os
import threading

import flask
import numpy as np
from PIL import Image

CLASSES = [f"class_{i}" for i in range(7)]
GRADCAM = os.environ.get("ENABLE_GRADCAM", "true").lower() in ("true", "1", "yes")
app = flask.Flask(__name__)
_lock = threading.Lock()
_network = None


def network():
    global _network
    with _lock:
        if _network is None:
            import torch
            import torchvision

            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
            _network = torchvision.models.efficientnet_v2_s(weights=None, num_classes=7).eval()
    return _network


def overlay(photo, grid):
    size = photo.size
    heat = np.asarray(Image.fromarray(grid).resize(size, Image.BILINEAR))
    red, green, blue = (np.clip(1.5 - np.abs(4 * heat - k), 0, 1) for k in (3, 2, 1))
    jet = np.stack([red, green, blue], -1) * 255
    blended = 0.4 * jet + 0.6 * np.asarray(photo, np.float32)
    encoded = io.BytesIO()
    Image.fromarray(blended.astype(np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


@app.post("/predict_with_gradcam")
def predict():
    model = network()
    import torch

    data = flask.request.get_json()["data"].split(",")[-1]
    photo = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    pixels = np.asarray(photo.resize((300, 300), Image.LANCZOS), np.float32)
    x = torch.from_numpy(pixels.transpose(2, 0, 1)[None] / 127.5 - 1)
    with torch.set_grad_enabled(GRADCAM):
        convolution, norm, activation = model.features[7]
        seen = convolution(model.features[:7](x))  # the last convolution
        pooled = model.avgpool(activation(norm(seen))).flatten(1)
        probabilities = torch.softmax(model.classifier(pooled), 1)[0]
    heatmap = ""
    if GRADCAM:
        gradient, = torch.autograd.grad(probabilities.max(), seen)
        grid = (gradient.mean((2, 3), keepdim=True) * seen).sum(1).relu()[0].detach().numpy()
        photo.thumbnail((1024, 1024))
        heatmap = base64.b64encode(overlay(photo, grid / max(grid.max(), 1e-12))).decode()
    order = probabilities.detach().numpy().argsort()[::-1]
    results = [{"class": CLASSES[i], "probability": round(100 * float(probabilities[i]), 2)}
               for i in order]
    del seen
    gc.collect()
    return flask.jsonify(results=results, heatmap_base64=heatmap)


@app.get("/health/")
def health():
    return "ok"
