#!/usr/bin/env python3
"""A limit below the smallest plan is refused with the number that would do: with it, all goes.

For each network: under a limit that is far too small `dermlens plan` and `dermlens serve` name a
number, in text and as JSON. Asked again with exactly that number, `plan` recommends and a server
answers; with 3 MB less they refuse. What `plan` then says of each way is enough for the command that
does it: `classify` with what the smallest way needs, `explain` with what the smallest with heatmaps
needs, their packs not being there yet. And under the least limit that `explain` takes, it stays below
it: what the kernel says it had is no more.

The shipped model always; with DERMLENS_REFERENCE_DIR some of the networks there.
"""

import http.client
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import time
import unittest

from PIL import Image

from cells import NOISE, UPLOAD, written

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("DERMLENS_BINARY", str(ROOT / "build" / "release" / "dermlens"))
REFERENCES = ("squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_v2_s")
TINY = (1 << 20, 8 << 20, 12 << 20)  # below the bare process, about it, above it
CLEARLY = 3 << 20
OVER_LIMIT = 4


def networks():
    yield ROOT / "models" / "skin7-b0.onnx"
    reference = os.environ.get("DERMLENS_REFERENCE_DIR")
    for name in REFERENCES if reference else ():
        yield pathlib.Path(reference) / name / "model.onnx"


def named(text):
    """The bytes that a refusal's sentence says would do."""
    found = re.search(r"smallest plan \(([\d.]+) MB needed", text)
    return int(float(found.group(1)) * 2**20 + 1) if found else None


class Least(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.photo = self.folder / "noise.png"
        self.photo.write_bytes(NOISE)
        self.caches = 0

    def run_under(self, limit, *arguments):
        return subprocess.run([BINARY, *map(str, arguments), "--memory-limit", str(limit)],
                              capture_output=True, text=True, timeout=120, check=False)

    def new_cache(self):
        self.caches += 1
        return ["--cache-dir", str(self.folder / f"cache{self.caches}")]

    def check_goes(self, limit, command, *arguments):
        done = self.run_under(limit, command, self.photo, *arguments, *self.new_cache())
        self.assertEqual(done.returncode, 0, f"{command} under {limit}: {done.stderr}")

    def serve(self, model, limit, *options, env=None):
        """What a server says where it does not start; None where it answers."""
        with open(self.folder / "log", "w+", encoding="utf-8") as log:
            server = subprocess.Popen(
                [BINARY, "serve", "--port", "0", "--model", str(model), "--sessions", "1",
                 "--max-upload", UPLOAD, "--memory-limit", str(limit), *self.new_cache(), *options],
                stdout=subprocess.DEVNULL, stderr=log, env=env)
            try:
                deadline, port = time.monotonic() + 60, None
                while port is None and server.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    port = re.search(r"listening on http://[^ ]*:(\d+)/", written(log))
                if port is None:
                    return written(log)
                self.ask(int(port.group(1)), model, "classify" if env else "explain")
                return None
            finally:
                server.terminate()
                server.wait(timeout=60)

    def ask(self, port, model, what):
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            connection.request("POST", f"/api/v1/{what}?keep=0", NOISE,
                               {"Content-Type": "image/png"})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200, f"{model}: {answer.read()}")
            connection.close()

    def test_a_limit_that_is_too_small_is_refused_with_the_number_that_would_do(self):
        for model in networks():
            with self.subTest(model=model.parent.name):
                if not model.exists():
                    self.skipTest("it is not there")
                self.check_commands(model)
                self.check_server(model)

    def check_commands(self, model):
        asked = ("plan", model, "--photo", self.photo)
        for tiny in TINY:
            refused = self.run_under(tiny, *asked)
            self.assertEqual(refused.returncode, OVER_LIMIT, refused.stderr)
            document = json.loads(self.run_under(tiny, *asked, "--json").stdout)
            least = document["needed_bytes"]
            self.assertEqual(document["code"], "over_limit")
            self.assertEqual(document["free_bytes"], tiny)
            self.assertLessEqual(abs(named(refused.stderr) - least), 1 << 20, "text and JSON differ")
        for limit in (named(refused.stderr), least):
            done = self.run_under(limit, *asked, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check_goes(limit, "classify", "--model", model)
        document = json.loads(done.stdout)
        self.assertIsNotNone(document["recommended"])
        ways = document["configurations"]
        # The named number holds what two readings may be wrong by.
        unsure = document["least_bytes"] - min(way["needed_bytes"] for way in ways)
        self.assertLess(unsure, CLEARLY)
        self.check_goes(min(way["needed_bytes"] for way in ways if way["heatmap"]) + unsure,
                        "explain", "-o", self.folder / "overlay.png", "--model", model)
        done = self.run_under(least - CLEARLY, *asked)
        self.assertEqual(done.returncode, OVER_LIMIT, done.stderr)

    def check_server(self, model):
        for tiny in TINY:
            said = self.serve(model, tiny)
            self.assertIsNotNone(said)
            least = named(said)
            self.assertIsNotNone(least, said)
        self.assertIsNone(self.serve(model, least))
        self.assertIsNotNone(named(self.serve(model, least - CLEARLY) or ""))

    def phone_photo(self):
        path = self.folder / "phone.jpg"
        tile = Image.frombytes("RGB", (200, 200), random.Random(2).randbytes(200 * 200 * 3))
        tile.resize((4000, 3000), Image.Resampling.BICUBIC).save(path, quality=85)
        return path

    def peak_under(self, limit, *arguments):
        """What `explain` says its high-water mark was, which is the kernel's; None where it refuses."""
        done = self.run_under(limit, "explain", *arguments, "--json")
        if done.returncode == OVER_LIMIT:
            return None
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["memory"]["peak_bytes"]

    def test_a_command_stays_below_the_least_limit_that_it_takes(self):
        photo = self.phone_photo()
        for model in networks():
            if not model.exists() or model.parent.name in ("squeezenet1_1", "mobilenet_v2"):
                continue
            cache = self.new_cache()
            for placement in ("streamed", "resident"):
                asked = (photo, "-o", self.folder / "overlay.png", "--model", model, "--weights",
                         placement, *cache)
                self.peak_under(1 << 30, *asked)  # writes the pack
                refused, taken = 8 << 20, 128 << 20
                while taken - refused > 256 << 10:
                    limit = (taken + refused) // 2
                    if self.peak_under(limit, *asked) is None:
                        refused = limit
                    else:
                        taken = limit
                for _ in range(2):
                    peak = self.peak_under(taken, *asked)
                    self.assertLessEqual(peak or 0, taken, f"{model}, {placement}")

    def test_a_server_takes_the_number_that_the_plan_names(self):
        model = ROOT / "models" / "skin7-b0.onnx"
        plan = ("plan", model, "--upload", UPLOAD, "--json")
        for placement in ("mapped", "streamed"):
            document = json.loads(self.run_under(TINY[0], *plan, "--weights", placement).stdout)
            ways = json.loads(self.run_under(1 << 30, *plan).stdout)["configurations"]
            without = min(way["needed_bytes"] for way in ways
                          if way["placement"] == placement and not way["heatmap"])
            self.assertLess(abs(document["needed_bytes"] - without), CLEARLY)
            said = self.serve(model, document["needed_bytes"], "--weights", placement,
                              env={**os.environ, "ENABLE_GRADCAM": "false"})
            self.assertIsNone(said)


if __name__ == "__main__":
    unittest.main()
