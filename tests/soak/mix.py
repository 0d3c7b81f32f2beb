"""What the soak's clients ask: each round the same kinds in another order, so that samples compare.
Every kind says which statuses are right; Routes says which of the server's have not answered yet."""

import base64
import json
import pathlib
import re
import socket
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURES = ROOT / "tests/golden/image"
METHODS = ("gradcam", "gradcam%2B%2B", "hirescam", "xgradcam", "layercam", "eigencam")
COLORMAPS = ("jet", "turbo", "viridis", "gray")
TOKEN = "a-token-of-the-soak"
BEARER = {"Authorization": "Bearer " + TOKEN}
FORM = "application/x-www-form-urlencoded"
READS = ("/", "/health/", "/memory/", "/metrics", "/openapi.json", "/system/?lang=vi", "/login", "/v2",
         "/v2/health/live", "/v2/health/ready", "/v2/models/{m}", "/v2/models/{m}/ready",
         "/v2/models/{m}/versions/{v}", "/v2/models/{m}/versions/{v}/ready", "/v1/models",
         "/v1/models/{m}", "/api/v1/models", "/api/v1/models/{m}", "/api/v1/models/{m}/layers",
         "/api/v1/models/{m}/plan", "/api/v1/queue/soak", "/api/v1/history?limit=5",
         "/api/v1/history.csv", "/history/", "/assets/css/base.css", "/assets/js/none.js", "/robots.txt")


class Ask:
    """One request: `right` names the statuses that are no fault (200 where it is empty)."""

    def __init__(self, method, path, body=b"", kind="", right=(200,), headers=None):
        self.method, self.path, self.body, self.right = method, path, body, right
        self.headers = dict(headers or {})
        if kind:
            self.headers["Content-Type"] = kind


class Abort:
    """A client that leaves: raw bytes, then a close or a reset, at once or when it has heard `until`.
    `route` is what has answered it then."""

    def __init__(self, data, reset, until=b"", route=None):
        self.data, self.reset, self.until, self.route = data, reset, until, route

    def run(self, port):
        """What it has heard."""
        heard = b""
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            try:
                connection.sendall(self.data)
                while self.until not in heard:
                    part = connection.recv(4096)
                    if not part:
                        break
                    heard += part
            except OSError:
                pass
            if self.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return heard


class Routes:
    """The server's routes by its own document, and which of them have answered."""

    def __init__(self, document):
        self.missing = {(method.upper(), path) for path, operations in document["paths"].items()
                        for method in operations}
        self.patterns = [(route, re.compile(self.pattern_of(route[1]))) for route in self.missing]

    @staticmethod
    def pattern_of(path):
        # An asset's path has slashes; of all else each part is a segment.
        parts = re.split(r"(\{\w+\})", path)
        return "".join(".+" if part == "{path}" else "[^/:]+" if part.startswith("{")
                       else re.escape(part) for part in parts)

    def answered(self, method, path):
        for route, pattern in self.patterns:
            if route[0] == method and pattern.fullmatch(path.split("?")[0]):
                self.missing.discard(route)


def raw(method, path, headers="", body=b""):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"{headers}\r\n").encode() + body


def visits(result, turn):
    """What is done with a kept result: it is looked at, then deleted in one of the ways there are.
    Another client may have emptied the history before."""
    at = f"/api/v1/results/{result}"
    looks = [Ask("GET", path) for path in (at, at + "/overlay.png", at + "/photo.jpg",
                                           f"/result/{result}/")]
    ways = (Ask("DELETE", at, right=(204,)),
            Ask("POST", f"/result/{result}/delete", right=(303,)),
            Ask("POST", f"/history/{result}/delete", right=(303, 404)))
    return [*looks, ways[turn % len(ways)]]


def stay(cookie, port):
    """What a browser does between its login and its logout."""
    own = {"Cookie": cookie.split(";")[0], "Origin": f"http://127.0.0.1:{port}"}
    return [Ask("GET", "/history/", headers=own), Ask("POST", "/logout", right=(303,), headers=own)]


def form(photo, name="image", kind="image/png"):
    boundary = "soak-boundary"
    return ((f"--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a\"\r\n"
             f"Content-Type: {kind}\r\n\r\n").encode() + photo + f"\r\n--{boundary}--\r\n".encode(),
            f"multipart/form-data; boundary={boundary}")


class Mix:
    def __init__(self, model, version, photo, tensor):
        self.model, self.version, self.photo = model, version, photo
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
        """Twenty-five requests, besides those that follow from their answers."""
        return (self.inferences(number) + self.reads(number) + self.chores(number)
                + self.errors(number) + self.aborts(number))

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
        model = f"/v2/models/{self.model}"
        versioned = f"{model}/versions/{self.version}"
        turns = (
            Ask("POST", "/predict_with_gradcam", json.dumps({"data": self.b64}).encode(),
                "application/json"),
            *(Ask("POST", at + "/infer", head + self.tensor, "application/octet-stream",
                  headers={"Inference-Header-Content-Length": str(len(head))})
              for at in (model, versioned)),
            *(Ask("POST", at + "/explain", json.dumps(bytes_input).encode(), "application/json")
              for at in (model, versioned)),
            Ask("POST", f"/v1/models/{self.model}:predict", v1, "application/json"),
            Ask("POST", f"/v1/models/{self.model}:explain", v1, "application/json"),
        )
        return [
            Ask("POST", "/api/v1/classify?keep=false", picture, "application/octet-stream"),
            Ask("POST", explain, self.photo, "image/png"),
            Ask("POST", explain + "&output=map", body, kind),
            Ask("POST", "/api/v1/explain?ticket=soak",
                json.dumps({"image": {"b64": self.b64}}).encode(), "application/json"),
            Ask("POST", ("/upload/", "/upload/file/")[n % 2], body, kind, right=(302,)),
            turns[n % len(turns)],
            turns[(n + 1) % len(turns)],
        ]

    def reads(self, n):
        asks = [READS[(n * 7 + i) % len(READS)].format(m=self.model, v=self.version)
                for i in range(7)]
        reads = [Ask("GET", path, right=(404,) if "none" in path else (200,)) for path in asks]
        return reads + [Ask("HEAD", "/", headers={"Accept-Encoding": "gzip"})]

    def chores(self, n):
        chores = (
            Ask("POST", "/login", f"token={TOKEN}&next=/system/".encode(), FORM, right=(303,)),
            Ask("POST", "/v2/repository/index", b"{}", "application/json"),
            # Not of today: others still look at theirs.
            Ask("DELETE", "/api/v1/history?older_than_days=1"),
        )
        return [chores[n % len(chores)]]

    def errors(self, n):
        cut = self.photo[:len(self.photo) // 2]
        body, kind = form(self.photo, name="other")
        errors = (
            Ask("GET", f"/nothing/{n}", right=(404,)),
            Ask("POST", "/health/", right=(405,)),
            Ask("GET", "/memory/", right=(401,), headers={"Authorization": "Bearer wrong"}),
            Ask("POST", "/login", b"token=wrong", FORM, right=(401, 429)),
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
        head = raw("POST", "/api/v1/explain?keep=false",
                   f"Content-Type: image/png\r\nContent-Length: {len(self.photo)}\r\n")
        events = raw("GET", "/api/v1/events")
        aborts = (
            Abort(b"GET /health/ HTT", False),
            Abort(b"\x16\x03\x01\x02garbage\r\n\r\n", True),
            Abort(head + self.photo[:100], False),
            Abort(head + self.photo[:100], True),
            Abort(head + self.photo, True),
            # Gone before anything comes, or with the first event.
            Abort(events, True) if n % 4 < 2 else
            Abort(events, False, b"\ndata:", ("GET", "/api/v1/events")),
            Abort(raw("GET", "/") * 3, False),
            Abort(raw("POST", "/upload/", "Content-Length: 1073741824\r\n"), False),
        )
        return [aborts[(n * 4 + i) % len(aborts)] for i in range(4)]
