#!/usr/bin/env python3
"""run, grad, inspect, plan and pack on the committed reference networks."""

import json
import os
import re
import unittest

from frame import FIXTURES, MODEL, SAMPLE, CliTest, png, read_npy


def manifest(name):
    return json.loads((FIXTURES / name / "manifest.json").read_text())


class Tensors(CliTest):
    def assert_close(self, ours, reference, tolerance):
        shape, values = read_npy(ours)
        expected_shape, expected = read_npy(reference)
        self.assertEqual(shape, expected_shape)
        scale = max(map(abs, expected))
        self.assertLessEqual(max(abs(a - b) for a, b in zip(values, expected)), tolerance * scale)

    def test_run_writes_any_value_as_pytorch_computes_it(self):
        for name in ("residual", "mbconv", "hardswish"):
            facts = manifest(name)
            folder = FIXTURES / name
            layer = facts["layers"][1]
            self.dermlens("run", folder / "model.onnx", "--input",
                          f"{facts['input']}={folder / facts['input_file']}", "--output",
                          facts["output"], "--output", layer["name"], "-o", self.folder / name)
            self.assert_close(self.folder / name / (facts["output"] + ".npy"),
                              folder / facts["logits_file"], 1e-4)
            self.assert_close(self.folder / name / (layer["name"] + ".npy"),
                              folder / layer["act"], 1e-4)

    def test_grad_equals_autograd(self):
        for name in ("residual", "mbconv"):
            facts = manifest(name)
            folder = FIXTURES / name
            for layer in facts["layers"]:
                out = self.folder / "g.npy"
                self.dermlens("grad", folder / "model.onnx", "--input",
                              f"{facts['input']}={folder / facts['input_file']}", "--of",
                              f"{facts['output']}[{facts['class_index']}]", "--at", layer["name"],
                              "-o", out)
                self.assert_close(out, folder / layer["grad"], 5e-2 if facts["kinks"] else 1e-3)

    def test_a_wrong_tensor_is_wrong_usage_or_bad_input(self):
        facts = manifest("residual")
        folder = FIXTURES / "residual"
        wrong = f"{facts['input']}={folder / facts['logits_file']}"
        self.dermlens("run", folder / "model.onnx", "--input", wrong, "-o", self.folder, expect=2)
        bad = self.write("bad.npy", "no array")
        self.dermlens("run", folder / "model.onnx", "--input", f"{facts['input']}={bad}", "-o",
                      self.folder, expect=3)
        right = f"{facts['input']}={folder / facts['input_file']}"
        self.dermlens("run", folder / "model.onnx", "--input", right, "--output", "nothing", "-o",
                      self.folder, expect=2)
        self.dermlens("grad", folder / "model.onnx", "--input", right, "--of",
                      facts["output"] + "[99999]", "--at", facts["input"], "-o",
                      self.folder / "g.npy", expect=2)


class Inspect(CliTest):
    def test_json_lists_layers_with_one_auto(self):
        facts = self.json("inspect", MODEL)
        self.assertEqual(sum(layer["auto"] for layer in facts["layers"]), 1)
        self.assertEqual(sum(layer["last_conv"] for layer in facts["layers"]), 1)
        self.assertEqual(len(facts["card"]["classes"]), 7)
        self.assertIn("f16", facts["weights"])

    def test_people_see_the_auto_layer_marked(self):
        text = self.dermlens("inspect", MODEL).stdout.decode()
        marked = [line for line in text.splitlines() if line.strip().startswith("* ")]
        self.assertEqual(len(marked), 1)

    def test_the_graph_is_dot(self):
        out = self.folder / "model.dot"
        self.dermlens("inspect", MODEL, "--graph", out)
        text = out.read_text()
        self.assertTrue(text.startswith("digraph"))
        self.assertIn('"logits"', text)


class Plan(CliTest):
    def test_lists_every_placement_with_and_without_heatmaps(self):
        plan = self.json("plan", MODEL, "--memory-limit", "512M")
        self.assertEqual([(c["heatmap"], c["placement"]) for c in plan["configurations"]],
                         [(h, p) for h in (True, False)
                          for p in ("resident", "mapped", "streamed")])
        for row in plan["configurations"]:
            self.assertGreater(row["arena_bytes"], 0)
            self.assertGreater(row["max_sessions"], 0)
        resident, _, streamed = plan["configurations"][:3]
        self.assertLess(streamed["peak_bytes"], resident["peak_bytes"])
        self.assertIn("requests at once", plan["recommendation"])

    def test_people_see_a_table(self):
        text = self.dermlens("plan", MODEL, "--memory-limit", "512M").stdout.decode()
        for word in ("resident", "mapped", "streamed", "recommended"):
            self.assertIn(word, text)


class Pack(CliTest):
    def test_is_written_once_and_then_up_to_date(self):
        cache = self.folder / "cache"
        first = self.json("pack", MODEL, "--cache-dir", cache)
        self.assertTrue(first["built"])
        self.assertTrue(os.path.getsize(first["path"]) >= first["weights_bytes"])
        second = self.json("pack", MODEL, "--cache-dir", cache)
        self.assertFalse(second["built"])
        self.assertEqual(first["path"], second["path"])


class Documents(CliTest):
    def test_write_numbers_as_people_do(self):
        model = FIXTURES / "residual/model.onnx"
        photo = self.write("a.png", png(40, 40))
        for arguments in (
            ["plan", MODEL, "--memory-limit", "512M"],
            ["bench", "--model", model, "--image", photo, "--runs", "1", "--weights", "streamed"],
            ["quantize", MODEL, "--to", "bf16", "-o", self.folder / "bf16.onnx",
             "--verify", SAMPLE.parent],
            ["classify", photo, "--model", model],
            ["inspect", model],
        ):
            with self.subTest(command=arguments[0]):
                text = self.dermlens(*arguments, "--json").stdout.decode()
                self.assertEqual(text.count("\n"), 1)
                json.loads(text)
                for number in re.findall(r"[:,\[](-?[0-9.]+[eE][-+0-9]+)", text):
                    size = abs(float(number))
                    self.assertFalse(1e-5 <= size < 1e15, f"{number} needs no exponent")


if __name__ == "__main__":
    unittest.main()
