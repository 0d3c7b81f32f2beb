"""quantize and evaluate with the real binary: what is written loads elsewhere and says the same."""

import json
import pathlib
import shutil
import tempfile
import unittest
import subprocess

from frame import BINARY, MODEL, SAMPLE


def run(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=600)


class Quantize(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.photos = cls.folder / "photos" / "other_sample"
        cls.photos.mkdir(parents=True)
        shutil.copy(SAMPLE, cls.photos)
        cls.small = cls.folder / "int8.onnx"
        cls.report = run("quantize", MODEL, "--to", "int8", "--calibrate", cls.photos, "--verify", cls.photos,
                         "--search-seconds", 0, "--max-probability-change", 1, "--min-agreement", 0, "--no-cache",
                         "--json", "-o", cls.small)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def test_int8_is_smaller_and_keeps_its_heatmap(self):
        self.assertEqual(self.report.returncode, 0, self.report.stderr)
        verdict = json.loads(self.report.stdout)["verdict"]
        self.assertTrue(verdict["passed"])
        self.assertLess(verdict["after"]["file_bytes"], verdict["before"]["file_bytes"])
        self.assertGreater(verdict["heatmap_correlation"], 0.5)

    def test_nothing_is_left_beside_the_result(self):
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["int8.onnx", "photos"])

    def test_onnxruntime_loads_it_and_agrees(self):
        try:
            import numpy
            import onnxruntime
        except ImportError:
            self.skipTest("no onnxruntime for this Python")
        x = numpy.random.default_rng(0).normal(size=(1, 3, 300, 300)).astype("float32")
        numpy.save(self.folder / "photos" / "x.npy", x)
        out = self.folder / "photos" / "out"
        done = run("run", self.small, "--input", f"image={self.folder}/photos/x.npy", "--output", "logits", "-o", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        session = onnxruntime.InferenceSession(str(self.small), providers=["CPUExecutionProvider"])
        theirs = session.run(None, {"image": x})[0]
        ours = numpy.load(out / "logits.npy")
        self.assertLess(abs(theirs - ours).max(), 0.1 * abs(theirs).max())

    def test_the_verdict_can_fail(self):
        done = run("quantize", MODEL, "--to", "int8", "--calibrate", self.photos, "--verify", self.photos,
                   "--search-seconds", 0, "--max-probability-change", 0, "--no-cache",
                   "-o", self.folder / "photos" / "again.onnx")
        self.assertEqual(done.returncode, 1, done.stderr)

    def test_wrong_wishes_are_said_in_one_line(self):
        for arguments in (("--to", "int8"), ("--to", "bf16")):
            done = run("quantize", MODEL, *arguments, "-o", self.folder / "photos" / "none.onnx")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)


class Evaluate(unittest.TestCase):
    def test_scores_report_and_verdict(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name) / "photos"
            (folder / "2_healthy").mkdir(parents=True)
            shutil.copy(SAMPLE, folder / "2_healthy" / "a.jpg")
            (folder / "2_healthy" / "broken.jpg").write_bytes(b"no photo")
            html, fitted = pathlib.Path(name) / "r.html", pathlib.Path(name) / "t.onnx"
            done = run("evaluate", folder, "--model", MODEL, "--json", "--html", html, "--fit-temperature", fitted,
                       "--no-cache")
            self.assertEqual(done.returncode, 0, done.stderr)
            scores = json.loads(done.stdout)
            self.assertEqual((scores["photos"], scores["unreadable"]), (1, 1))
            self.assertNotIn("data:image", html.read_text())
            self.assertEqual(run("evaluate", folder, "--model", fitted, "--no-cache").returncode, 0)
            failed = run("evaluate", folder, "--model", MODEL, "--max-ece", 0, "--no-cache")
            self.assertEqual(failed.returncode, 1, failed.stderr)


if __name__ == "__main__":
    unittest.main()
