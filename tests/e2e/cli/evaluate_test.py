"""evaluate with the real binary: scores, report, fitted models and the verdict."""

import csv
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from frame import BINARY, MODEL, SAMPLE


def run(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=300)


class Evaluate(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)
        self.folder = self.place / "photos"
        (self.folder / "2_healthy").mkdir(parents=True)
        shutil.copy(SAMPLE, self.folder / "2_healthy" / "a.jpg")
        (self.folder / "2_healthy" / "broken.jpg").write_bytes(b"no photo")

    def scores(self, *extra):
        done = run("evaluate", self.folder, "--model", MODEL, "--json", "--no-cache", *extra)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_scores_are_over_the_photos_that_can_be_read(self):
        scores = self.scores()
        self.assertEqual((scores["photos"], scores["unreadable"]), (1, 1))
        for key in ("accuracy", "macro_f1", "top3", "ece"):
            self.assertTrue(0 <= scores[key] <= 1, key)
        self.assertEqual(sum(map(sum, scores["confusion"])), 1)
        self.assertEqual(sum(c["photos"] for c in scores["classes"]), 1)

    def test_labels_csv_says_the_same_as_folders(self):
        by_folder = self.scores()
        with open(self.folder / "labels.csv", "w", newline="") as labels:
            table = csv.writer(labels)
            table.writerow(["file", "class_id"])
            table.writerow(["2_healthy/a.jpg", 2])
        by_table = self.scores()
        self.assertEqual((by_table["accuracy"], by_table["photos"]), (by_folder["accuracy"], 1))

    def test_the_report_holds_pictures_only_when_asked(self):
        html = self.place / "r.html"
        self.scores("--html", html)
        self.assertNotIn("data:image", html.read_text())
        self.scores("--html", html, "--explanations")
        self.assertIn("data:image", html.read_text())

    def test_fitted_models_load_and_remember(self):
        warmer, gated = self.place / "t.onnx", self.place / "g.onnx"
        scores = self.scores("--fit-temperature", warmer, "--fit-gate", gated)
        for model, key in ((warmer, "fitted_temperature"), (gated, "fitted_gate")):
            card = json.loads(run("inspect", model, "--json").stdout)["card"]
            said = card["temperature"] if key == "fitted_temperature" else card["gate"]["threshold"]
            self.assertAlmostEqual(said, scores[key], places=4)
            self.assertEqual(run("evaluate", self.folder, "--model", model, "--no-cache").returncode, 0)

    def test_the_verdict_can_fail(self):
        failed = run("evaluate", self.folder, "--model", MODEL, "--max-ece", 0, "--no-cache")
        self.assertEqual(failed.returncode, 1, failed.stderr)


if __name__ == "__main__":
    unittest.main()
