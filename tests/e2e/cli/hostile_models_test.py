#!/usr/bin/env python3
"""Small files and lines that ask for much: refused soon, with numbers, and under the limit."""

import json
import os
import struct
import subprocess
import time
import unittest

from frame import BINARY, CliTest, png
from onnx_bytes import FLOAT, INT64, model, node, tensor


def npy(dims, values):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(dims)}).encode()
    header = header.ljust((10 + len(header) + 64) // 64 * 64 - 11) + b"\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
            + struct.pack(f"<{len(values)}f", *values))


class HostileCase(CliTest):
    def run_measured(self, *arguments, stdin=b""):
        """Exit code, stdout, stderr, the process's peak in MiB and its seconds."""
        began = time.monotonic()
        given = self.write("stdin", stdin)
        with open(given, "rb") as source, open(self.folder / "out.txt", "wb") as out, \
                open(self.folder / "err.txt", "wb") as err:
            child = subprocess.Popen([BINARY, *map(os.fspath, arguments)], stdin=source,
                                     stdout=out, stderr=err, env=self.environment())
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        return (child.returncode, (self.folder / "out.txt").read_bytes(),
                (self.folder / "err.txt").read_text(errors="replace"),
                usage.ru_maxrss / 1024, time.monotonic() - began)

    def run_model(self, data, dims, limit="64M", command="run", extra=()):
        path = self.write("model.onnx", data)
        count = 1
        for dim in dims:
            count *= dim
        tensor_path = self.write("x.npy", npy(dims, [1.0] * count))
        return self.run_measured(command, path, "--input", f"x={tensor_path}", "-o",
                                 self.folder / "results", "--no-cache", "--memory-limit", limit,
                                 *extra)


class Models(HostileCase):
    def test_a_result_larger_than_the_limit_costs_nothing_to_describe(self):
        vast = 1 << 30
        for nodes, tensors in (
                ([node("Pad", ["x", "pads"], ["y"])],
                 [tensor("pads", INT64, [4], [0, 0, 0, vast])]),
                ([node("Expand", ["x", "shape"], ["y"])],
                 [tensor("shape", INT64, [2], [1, vast])])):
            code, _, errors, peak, seconds = self.run_model(
                model(nodes, {"x": [1, 1]}, ["y"], tensors), [1, 1])
            self.assertEqual(code, 4, errors)
            self.assertLess(peak, 64)
            self.assertLess(seconds, 20)

    def test_a_window_of_padding_is_refused(self):
        wide = 1 << 24
        pool = model([node("MaxPool", ["x"], ["y"], kernel_shape=[wide, wide],
                           pads=[0, 0, wide - 1, wide - 1])], {"x": [1, 1, 4, 4]}, ["y"])
        for command, extra in (("run", ()), ("grad", ("--of", "y[0]", "--at", "x"))):
            code, _, errors, _, seconds = self.run_model(pool, [1, 1, 4, 4], command=command,
                                                         extra=extra)
            self.assertEqual(code, 3, errors)
            self.assertIn("taps", errors)
            self.assertLess(seconds, 20)

    def test_constants_are_computed_within_one_budget(self):
        size = 8000
        tensors = [tensor("one", FLOAT, [1], [1.0]), tensor("row", INT64, [3], [1, 1, 2 * size]),
                   tensor("taps", INT64, [3], [1, 1, size])]
        nodes = [node("Expand", ["one", "row"], ["a"]), node("Expand", ["one", "taps"], ["w"])]
        nodes += [node("Conv", ["a", "w"], [f"dead{i}"]) for i in range(2000)]
        nodes += [node("Relu", ["x"], ["y"])]
        code, _, errors, _, seconds = self.run_model(model(nodes, {"x": [1, 1]}, ["y"], tensors),
                                                     [1, 1])
        self.assertEqual(code, 0, errors)
        self.assertLess(seconds, 20)

    def test_thousands_of_nodes_are_paid_for(self):
        for count, limit in ((3000, "64M"), (20000, "64M"), (8000, "256M")):
            tensors = [tensor(f"w{i}", FLOAT, [4, 4, 1, 1], [0.25] * 16) for i in range(count)]
            nodes = [node("Conv", [f"v{i}" if i else "x", f"w{i}"], [f"v{i + 1}"])
                     for i in range(count)]
            data = model(nodes, {"x": [1, 4, 2, 2]}, [f"v{count}"], tensors)
            code, _, errors, peak, _ = self.run_model(data, [1, 4, 2, 2], limit)
            self.assertEqual(code, 4, errors)
            self.assertRegex(errors, r"\d+ B")
            self.assertLess(peak, int(limit[:-1]))

    def test_what_fits_by_its_estimate_fits(self):
        count = 800
        tensors = [tensor(f"w{i}", FLOAT, [4, 4, 1, 1], [0.25] * 16) for i in range(count)]
        nodes = [node("Conv", [f"v{i}" if i else "x", f"w{i}"], [f"v{i + 1}"])
                 for i in range(count)]
        data = model(nodes, {"x": [1, 4, 2, 2]}, [f"v{count}"], tensors)
        code, _, errors, peak, _ = self.run_model(data, [1, 4, 2, 2], "64M")
        self.assertEqual(code, 0, errors)
        self.assertLess(peak, 64)


class Results(HostileCase):
    def test_integers_and_truths_are_written_as_such(self):
        data = model([node("Identity", ["big"], ["i"]), node("Greater", ["x", "half"], ["b"])],
                     {"x": [1, 2]}, ["i", "b"],
                     [tensor("big", INT64, [2], [16777217, -1]),
                      tensor("half", FLOAT, [1], [0.5])])
        code, out, errors, _, _ = self.run_model(data, [1, 2], extra=("--json",))
        self.assertEqual(code, 0, errors)
        self.assertEqual([one["type"] for one in json.loads(out)["outputs"]], ["i64", "bool"])
        integers = (self.folder / "results/i.npy").read_bytes()
        self.assertIn(b"'<i8'", integers)
        self.assertEqual(struct.unpack("<2q", integers[-16:]), (16777217, -1))
        truths = (self.folder / "results/b.npy").read_bytes()
        self.assertIn(b"'|b1'", truths)
        self.assertEqual(truths[-2:], b"\1\1")

    def test_an_operator_we_lack_matters_only_to_what_needs_it(self):
        data = model([node("Relu", ["x"], ["logits"]), node("ArgMax", ["logits"], ["top"], axis=1)],
                     {"x": [1, 3]}, ["logits", "top"])
        code, _, errors, _, _ = self.run_model(data, [1, 3], extra=("--output", "logits"))
        self.assertEqual(code, 0, errors)
        for extra in ((), ("--output", "top")):
            code, _, errors, _, _ = self.run_model(data, [1, 3], extra=extra)
            self.assertEqual(code, 3)
            self.assertIn("ArgMax", errors)

    def test_names_that_are_no_utf8_leave_json_json(self):
        data = model([node("Relu", ["x"], [b"y\xff"])], {"x": [1, 2]}, [b"y\xff"])
        code, out, errors, _, _ = self.run_measured(
            "inspect", self.write("model.onnx", data), "--json")
        self.assertEqual(code, 0, errors)
        self.assertEqual(json.loads(out)["outputs"][0]["name"], "y\ufffd")
        photo = os.fsencode(self.folder / "a") + b"\xff.png"
        with open(photo, "wb") as file:
            file.write(png(32, 32))
        code, out, errors, _, _ = self.run_measured("classify", "--ndjson", photo)
        self.assertEqual(code, 0, errors)
        self.assertTrue(json.loads(out)["path"].endswith("a\ufffd.png"))


class LargeTensors(HostileCase):
    """64 MiB in and 64 MiB out, from and to files: neither is in memory more than the plan says."""

    SIDE = 4096

    def measure(self, command, limit, *extra):
        dims = [1, 1, self.SIDE, self.SIDE]
        path = self.write("relu.onnx", model([node("Relu", ["x"], ["y"])], {"x": dims}, ["y"]))
        values = self.folder / "x.npy"
        if not values.exists():
            # Zeros that nobody wrote: what this process holds would count as its child's peak.
            values.write_bytes(npy(dims, []))
            os.truncate(values, values.stat().st_size + 4 * self.SIDE ** 2)
        out = self.folder / "out"
        result = self.run_measured(command, path, "--input", f"x={values}", "-o", out, "--no-cache",
                                   "--memory-limit", f"{limit}M", *extra)
        return result, out

    def assert_within(self, command, enough, *extra):
        (code, _, errors, peak, _), out = self.measure(command, enough, *extra)
        self.assertEqual(code, 0, errors)
        self.assertLessEqual(peak, enough)
        self.assertGreater(peak, 64)  # the measurement sees the tensor
        written = (out / "y.npy" if out.is_dir() else out)
        self.assertEqual(written.stat().st_size, 128 + 4 * self.SIDE ** 2)
        (code, _, errors, peak, _), _ = self.measure(command, 60, *extra)
        self.assertEqual(code, 4, errors)
        self.assertLessEqual(peak, 60)

    def test_run_stays_within_the_limit(self):
        self.assert_within("run", 150)

    def test_grad_stays_within_the_limit(self):
        self.assert_within("grad", 300, "--of", "y[0]", "--at", "x")


class Outputs(CliTest):
    def classifier(self, extra, outputs, metadata=None):
        weights = [0.1 * (i % 7 - 3) for i in range(4 * 3 * 3 * 3)]
        nodes = [node("Conv", ["x", "w"], ["a"]), node("GlobalAveragePool", ["a"], ["g"]),
                 node("Flatten", ["g"], ["l"]), *extra]
        tensors = [tensor("w", FLOAT, [4, 3, 3, 3], weights), tensor("none", INT64, [1], [0])]
        return self.write("m.onnx", model(nodes, {"x": [1, 3, 8, 8]}, outputs, tensors, metadata))

    def test_one_that_cannot_be_computed_costs_nothing_but_itself(self):
        photo = self.write("photo.png", png(32, 32))
        integers = [node("Cast", ["l"], ["y"], to=INT64)]
        empty = [node("Slice", ["l", "none", "none"], ["y"])]
        plain = self.json("classify", photo, "--no-cache", "--model",
                          self.classifier([], ["l"]))["predictions"]
        for extra in (integers, empty):
            for outputs, metadata in ((["l", "y"], None), (["y", "l"], {"dermlens.output": "l"})):
                path = self.classifier(extra, outputs, metadata)
                arguments = (photo, "--model", path, "--no-cache")
                self.assertEqual(self.json("classify", *arguments)["predictions"], plain)
                self.dermlens("explain", *arguments, "-o", self.folder / "o.png")
                self.dermlens("plan", path)
                listed = self.json("inspect", path)["outputs"]
                self.assertEqual([output["name"] for output in listed], ["l"])

    def test_scores_that_cannot_be_computed_name_the_model(self):
        photo = self.write("photo.png", png(32, 32))
        extra = [node("Cast", ["l"], ["y"], to=INT64), node("Cast", ["y"], ["z"], to=FLOAT)]
        path = self.classifier(extra, ["z", "l"])
        refused = self.dermlens("classify", photo, "--model", path, "--no-cache", expect=3)
        self.assertIn(f"dermlens: {path}: node 'y' (Cast)", refused.stderr.decode())


class Lines(HostileCase):
    def test_a_line_of_a_million_small_things_meets_the_limit(self):
        for numbers, limit in ((2_000_000, 64), (8_000_000, 96)):
            line = b"[" + b"0," * numbers + b"0]\n"
            code, out, _, peak, _ = self.run_measured(
                "classify", "-", "--memory-limit", f"{limit}M", "--no-cache", stdin=line)
            self.assertIn(code, (3, 4))
            self.assertIn("error", json.loads(out))
            self.assertLess(peak, limit)


class Layers(CliTest):
    def test_a_layer_by_name_needs_no_automatic_one(self):
        weights = [0.1 * (i % 7 - 3) for i in range(4 * 3 * 3 * 3)]
        tensors = [tensor(name, FLOAT, [4, 3, 3, 3], weights) for name in ("w1", "w2")]
        nodes = [node("Conv", ["x", "w1"], ["a"]), node("Conv", ["x", "w2"], ["b"]),
                 node("GlobalAveragePool", ["a"], ["ga"]), node("GlobalAveragePool", ["b"], ["gb"]),
                 node("Concat", ["ga", "gb"], ["c"], axis=1), node("Flatten", ["c"], ["l"])]
        path = self.write("two.onnx", model(nodes, {"x": [1, 3, 8, 8]}, ["l"], tensors))
        photo = self.write("photo.png", png(32, 32))
        arguments = ("explain", photo, "--model", path, "--no-cache", "-o", self.folder / "o.png")
        for layer in ("a", "b", "last_conv"):
            answer = self.json(*arguments, "--layer", layer)
            self.assertEqual(answer["explanations"][0]["layer"], "b" if layer != "a" else "a")
        refused = self.dermlens(*arguments, expect=3).stderr.decode()
        self.assertIn("layer", refused)


if __name__ == "__main__":
    unittest.main()
