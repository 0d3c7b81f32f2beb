#!/usr/bin/env python3
"""classify and explain: the answers, their JSON, the files they write."""

import base64
import json
import shutil
import subprocess
import unittest

from frame import BINARY, FIXTURES, MODEL, SAMPLE, CliTest, png, png_size, read_npy


class Classify(CliTest):
    def test_json_is_one_document_of_the_native_shape(self):
        answer = self.json("classify", SAMPLE)
        self.assertEqual(len(answer["id"]), 32)
        self.assertEqual(answer["model"]["name"], "skin7-b0")
        self.assertEqual(len(answer["predictions"]), 7)
        probabilities = [p["probability"] for p in answer["predictions"]]
        self.assertEqual(probabilities, sorted(probabilities, reverse=True))
        self.assertAlmostEqual(sum(probabilities), 1, places=6)
        self.assertEqual(answer["explanations"], [])
        self.assertEqual(set(answer["timing_ms"]),
                         {"queue", "decode", "forward", "backward", "render"})
        self.assertGreater(answer["memory"]["planned_bytes"], 0)
        self.assertIn("doctor", answer["disclaimer"])

    def test_a_table_for_people_names_every_class(self):
        text = self.dermlens("classify", SAMPLE).stdout.decode()
        for answer in self.json("classify", SAMPLE)["predictions"]:
            self.assertIn(answer["class"], text)
        self.assertIn("%", text)

    def test_top_k_limits_the_classes(self):
        self.assertEqual(len(self.json("classify", SAMPLE, "--top-k", 3)["predictions"]), 3)

    def test_several_photos_give_one_array_in_order(self):
        other = self.write("other.png", png(60, 40))
        answers = self.json("classify", SAMPLE, other)
        self.assertEqual([a["path"] for a in answers], [str(SAMPLE), str(other)])

    def test_a_bad_photo_among_good_ones_is_told_and_the_others_answered(self):
        bad = self.write("bad.jpg", "no photo")
        done = self.dermlens("classify", SAMPLE, bad, SAMPLE, "--ndjson", expect_any=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([("error" in line) for line in lines], [False, True, False])
        self.assertEqual(lines[1]["code"], "unsupported")
        self.assertEqual(done.returncode, 3)
        done = self.dermlens("classify", SAMPLE, bad, SAMPLE, expect=3)
        self.assertEqual(done.stderr.decode().count("dermlens: "), 1)
        self.assertEqual(done.stdout.decode().count(str(SAMPLE)), 2)

    def test_a_model_without_metadata_warns_of_its_defaults(self):
        answer = self.json("classify", self.write("a.png", png(50, 50)), "--model",
                           FIXTURES / "residual/model.onnx")
        self.assertTrue(answer["predictions"][0]["class"].startswith("class_"))
        self.assertEqual(len(answer["warnings"]), 2)

    def test_every_placement_gives_the_same_answer(self):
        answers = [self.json("classify", SAMPLE, "--weights", w)["predictions"]
                   for w in ("resident", "mapped", "streamed")]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])

    def test_two_threads_give_the_same_classes(self):
        one, two = (self.json("classify", SAMPLE, "--threads", n)["predictions"] for n in (1, 2))
        for a, b in zip(one, two):
            self.assertEqual(a["class_id"], b["class_id"])
            self.assertAlmostEqual(a["probability"], b["probability"], places=4)

    def test_the_models_place_can_come_from_the_environment(self):
        model = FIXTURES / "residual/model.onnx"
        photo = self.write("a.png", png(50, 50))
        by_option = self.json("classify", photo, "--model", model)["predictions"]
        by_name = self.json("classify", photo, env={"DERMLENS_MODEL": str(model)})["predictions"]
        self.assertEqual(by_option, by_name)


    def test_the_shipped_model_is_found_beside_the_executables_tree(self):
        for place, models in (("build/release", "models"), ("bin", "share/dermlens")):
            root = self.folder / place.replace("/", "_")
            (root / place).mkdir(parents=True)
            (root / models).mkdir(parents=True)
            shutil.copyfile(MODEL, root / models / MODEL.name)
            binary = root / place / "dermlens"
            shutil.copy(BINARY, binary)
            done = subprocess.run([binary, "inspect", "--json"], capture_output=True, timeout=60,
                                  check=True, env={})
            self.assertEqual(json.loads(done.stdout)["path"], str(root / models / MODEL.name))


class Stream(CliTest):
    def test_lines_are_answered_in_order_and_bad_ones_do_not_end_it(self):
        photo = png(64, 48)
        path = self.write("photo.png", photo)
        b64 = base64.b64encode(photo).decode()
        lines = [
            json.dumps({"id": "one", "path": str(path)}),
            "not json",
            json.dumps({"id": 2, "b64": b64}),
            json.dumps({"id": 3}),
            json.dumps({"id": 4, "path": str(path), "b64": b64}),
            json.dumps({"id": 5, "b64": "####"}),
            json.dumps({"id": 6, "path": "/no/such/file"}),
            json.dumps({"id": 7, "path": 8}),
            json.dumps([1, 2]),
            "",
            json.dumps({"id": {"a": 1}, "path": str(path)}),
            json.dumps({"path": str(path) + "\0x"}),
            "[" * 100000,
            json.dumps({"id": "last", "path": str(path)}),
        ]
        done = self.dermlens("classify", "-", stdin="\n".join(lines).encode(), expect_any=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([a["id"] for a in answers],
                         ["one", None, 2, 3, 4, 5, 6, 7, None, None, None, None, "last"])
        self.assertEqual(["predictions" in a for a in answers],
                         [True, False, True] + [False] * 9 + [True])
        self.assertEqual(answers[1]["line"], 2)
        self.assertEqual(answers[6]["code"], "not_found")
        self.assertEqual(answers[0]["predictions"], answers[2]["predictions"])
        self.assertEqual(done.returncode, 3)

    def test_an_empty_stream_is_done(self):
        self.assertEqual(self.dermlens("classify", "-", stdin=b"").stdout, b"")

    def test_a_line_over_the_bound_is_refused_and_the_next_one_answered(self):
        path = self.write("photo.png", png(30, 30))
        stdin = b'{"b64":"' + b"A" * (40 << 20) + b'"}\n' + json.dumps({"path": str(path)}).encode()
        done = self.dermlens("classify", "-", stdin=stdin, expect_any=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([a.get("code") for a in answers], ["too_large", None])
        self.assertEqual(done.returncode, 3)


class Explain(CliTest):
    def test_the_overlay_keeps_the_photos_aspect_and_size(self):
        for given, expected in (((300, 150), (300, 150)), ((2000, 1000), (1024, 512))):
            photo = self.write("photo.png", png(*given, pixel=lambda x, y: (x % 256, y % 256, 90)))
            out = self.folder / "overlay.png"
            self.dermlens("explain", photo, "-o", out)
            self.assertEqual(png_size(out.read_bytes()), expected)

    def test_json_holds_the_map_and_where_the_overlay_is(self):
        out = self.folder / "overlay.png"
        grid = self.folder / "map.npy"
        answer = self.json("explain", SAMPLE, "-o", out, "--map", grid, "--target", 2)
        explanation = answer["explanations"][0]
        self.assertEqual(explanation["class_id"], 2)
        rows, columns = explanation["grid"]
        self.assertEqual(len(explanation["map"]), rows * columns)
        self.assertEqual(explanation["overlay"], {"mime": "image/png", "path": str(out)})
        shape, values = read_npy(grid)
        self.assertEqual(shape, (rows, columns))
        for a, b in zip(values, explanation["map"]):
            self.assertAlmostEqual(a, b, places=6)
        self.assertEqual(max(values), 1.0)

    def test_every_method_score_and_colormap_is_taken(self):
        out = self.folder / "overlay.png"
        for method in ("gradcam", "gradcam++", "hirescam", "xgradcam", "layercam", "eigencam"):
            answer = self.json("explain", SAMPLE, "--method", method)
            self.assertEqual(answer["explanations"][0]["method"], method)
        for colormap in ("jet", "turbo", "viridis", "gray"):
            self.dermlens("explain", SAMPLE, "-o", out, "--colormap", colormap, "--alpha", 0.7)
            png_size(out.read_bytes())
        answer = self.json("explain", SAMPLE, "--score", "probability", "--layer", "last_conv")
        self.assertEqual(answer["explanations"][0]["score"], "probability")

    def test_the_target_may_be_a_name_in_any_language(self):
        for name in ("Eczema Photos", "1"):
            answer = self.json("explain", SAMPLE, "--target", name)
            self.assertEqual(answer["explanations"][0]["class_id"], 1)

    def test_a_photo_is_replaced_in_one_step_and_nothing_else_is_left(self):
        out = self.write("overlay.png", "old")
        self.dermlens("explain", SAMPLE, "-o", out)
        png_size(out.read_bytes())
        self.assertEqual([p.name for p in self.folder.iterdir()], ["overlay.png"])

    def test_a_device_is_written_to_and_not_replaced(self):
        done = self.dermlens("explain", SAMPLE, "-o", "/dev/null")
        self.assertIn(b"/dev/null", done.stdout)
        with open("/dev/null", "rb") as null:
            self.assertEqual(null.read(), b"")


if __name__ == "__main__":
    unittest.main()
