"""What the soak's clients ask: each round the same kinds in another order, so that samples compare.
Every kind says which statuses are right."""

import base64
import json
import pathlib
import socket
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURES = ROOT / "tests/golden/image"
METHODS = ("gradcam", "gradcam%2B%2B", "hirescam", "xgradcam", "layercam", "eigencam")
COLORMAPS = ("jet", "turbo", "viridis", "gray")
READS = ("/", "/health/", "/memory/", "/metrics", "/openapi.json", "/system/", "/login", "/v2",
         "/v2/health/live", "/v2/health/ready", "/v2/models/{m}", "/v2/models/{m}/ready",
         "/v1/models", "/v1/models/{m}", "/api/v1/models", "/api/v1/models/{m}",
         "/api/v1/models/{m}/layers", "/api/v1/models/{m}/plan", "/assets/css/base.css",
         "/assets/js/none.js")
BUSY = (503,)


class Ask:
    """One request: `right` names the statuses that are no fault (200 where it is empty)."""

    def __init__(self, method, path, body=b"", kind="", right=(200,), headers=None):
        self.method, self.path, self.body, self.right = method, path, body, right
        self.headers = dict(headers or {})
        if kind:
            self.headers["Content-Type"] = kind


class Abort:
    """A client that leaves: raw bytes, then a close or a reset."""

    def __init__(self, data, reset):
        self.data, self.reset = data, reset

    def run(self, port):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            try:
                connection.sendall(self.data)
            except OSError:
                pass
            if self.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def form(photo, name="image", kind="image/png"):
    boundary = "soak-boundary"
    return ((f"--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a\"\r\n"
             f"Content-Type: {kind}\r\n\r\n").encode() + photo + f"\r\n--{boundary}--\r\n".encode(),
            f"multipart/form-data; boundary={boundary}")


class Mix:
    def __init__(self, model, photo, tensor):
        self.model, self.photo = model, photo
        self.b64 = base64.b64encode(photo).decode()
        self.tensor_name, self.tensor_shape = tensor
        count = 1
        for dimension in self.tensor_shape:
            count *= dimension
        self.tensor = struct.pack(f"<{count}f", *((i % 251) / 125 - 1 for i in range(count)))
        self.pictures = [path.read_bytes() for path in
                         (PICTURES / "baseline.jpg", PICTURES / "progressive.jpg",
                          PICTURES / "alpha.png", PICTURES / "lossy.webp",
                          PICTURES / "alpha_lossless.webp") if path.exists()] or [photo]

    def round(self, number):
        """Twenty-five requests; `kept` results are deleted by who sends them."""
        return (self.inferences(number) + self.reads(number) + self.errors(number)
                + self.aborts(number))

    def inferences(self, n):
        method, colormap = METHODS[n % len(METHODS)], COLORMAPS[n % len(COLORMAPS)]
        picture = self.pictures[n % len(self.pictures)]
        body, kind = form(self.photo)
        explain = f"/api/v1/explain?keep=false&method={method}&colormap={colormap}"
        head = json.dumps({"inputs": [{"name": self.tensor_name, "datatype": "FP32",
                                       "shape": self.tensor_shape, "parameters":
                                       {"binary_data_size": len(self.tensor)}}]}).encode()
        bytes_input = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                                   "data": [self.b64]}]}
        v1 = json.dumps({"instances": [{"b64": self.b64}]}).encode()
        turns = (
            Ask("POST", "/predict_with_gradcam", json.dumps({"data": self.b64}).encode(),
                "application/json"),
            Ask("POST", f"/v2/models/{self.model}/infer", head + self.tensor,
                "application/octet-stream",
                headers={"Inference-Header-Content-Length": str(len(head))}),
            Ask("POST", f"/v2/models/{self.model}/explain", json.dumps(bytes_input).encode(),
                "application/json"),
            Ask("POST", f"/v1/models/{self.model}:predict", v1, "application/json"),
            Ask("POST", f"/v1/models/{self.model}:explain", v1, "application/json"),
        )
        return [
            Ask("POST", "/api/v1/classify?keep=false", picture, "application/octet-stream"),
            Ask("POST", explain, self.photo, "image/png"),
            Ask("POST", explain + "&output=map", body, kind),
            Ask("POST", "/api/v1/explain", json.dumps({"image": {"b64": self.b64}}).encode(),
                "application/json"),
            Ask("POST", "/upload/", body, kind, right=(302,)),
            turns[n % len(turns)],
            turns[(n + 1) % len(turns)],
        ]

    def reads(self, n):
        asks = [READS[(n * 8 + i) % len(READS)].replace("{m}", self.model) for i in range(8)]
        reads = [Ask("GET", path, right=(404,) if "none" in path else (200,)) for path in asks]
        return reads + [Ask("HEAD", "/", headers={"Accept-Encoding": "gzip"})]

    def errors(self, n):
        cut = self.photo[:len(self.photo) // 2]
        body, kind = form(self.photo, name="other")
        errors = (
            Ask("GET", f"/nothing/{n}", right=(404,)),
            Ask("POST", "/health/", right=(405,)),
            Ask("POST", "/api/v1/explain", b"no photo", "image/png", right=(415,)),
            Ask("POST", "/api/v1/explain", cut, "image/png", right=(400, 415, 422)),
            Ask("POST", "/upload/", b"garbage", kind, right=(400,)),
            Ask("POST", "/upload/file/", body, kind, right=(400,)),
            Ask("POST", "/predict_with_gradcam", b"{", "application/json", right=(400,)),
            Ask("POST", "/predict_with_gradcam", b'{"data":"%%"}', "application/json",
                right=(400,)),
            Ask("POST", "/api/v1/explain?method=none", self.photo, "image/png", right=(400,)),
            Ask("POST", "/api/v1/explain?layer=none", self.photo, "image/png",
                right=(400, 404)),
            Ask("GET", "/api/v1/results/" + "0" * 32, right=(404,)),
            Ask("POST", "/v2/models/none/infer", b"{}", "application/json", right=(400, 404)),
        )
        return [errors[(n * 5 + i) % len(errors)] for i in range(5)]

    def aborts(self, n):
        head = (f"POST /api/v1/explain?keep=false HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                f"Content-Length: {len(self.photo)}\r\n\r\n").encode()
        aborts = (
            Abort(b"GET /health/ HTT", False),
            Abort(b"\x16\x03\x01\x02garbage\r\n\r\n", True),
            Abort(head + self.photo[:100], False),
            Abort(head + self.photo[:100], True),
            Abort(head + self.photo, True),
            Abort(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n", True),
            Abort(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3, False),
            Abort(b"POST /upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n", False),
        )
        return [aborts[(n * 4 + i) % len(aborts)] for i in range(4)]
