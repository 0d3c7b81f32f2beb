"""quantize with the real binary: what is written loads elsewhere and says the same, and the verdict says how much."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from frame import BINARY, FIXTURES, MODEL, ROOT, SAMPLE, read_npy

PHOTOS = pathlib.Path(os.environ.get("DERMLENS_PHOTOS", ROOT.parent / "shared" / "photos"))


def run(*arguments, **environment):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=900,
                          env={**os.environ, **environment})


def has_bf16():
    return "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()


class OnOnePhoto(unittest.TestCase):
    """Every target from the shipped model, whose weights are stored as fp16."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.work = cls.folder / "photos"
        (cls.work / "other_sample").mkdir(parents=True)
        shutil.copy(SAMPLE, cls.work / "other_sample")
        cls.reports = {}
        for to in ("fp16", "bf16", "int8"):
            extra = ("--calibrate", cls.work, "--search-seconds", 0) if to == "int8" else ()
            cls.reports[to] = run("quantize", MODEL, "--to", to, *extra, "--verify", cls.work, "--no-cache", "--json",
                                  "--max-probability-change", 1, "--min-agreement", 0, "-o", cls.folder / f"{to}.onnx")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def verdict(self, to):
        self.assertEqual(self.reports[to].returncode, 0, self.reports[to].stderr)
        return json.loads(self.reports[to].stdout)["verdict"]

    def test_nothing_is_left_beside_the_results(self):
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()),
                         ["bf16.onnx", "fp16.onnx", "int8.onnx", "photos"])

    def test_what_is_fp16_already_stays_as_it_is(self):
        report = json.loads(self.reports["fp16"].stdout)
        self.assertEqual(report["narrowed"], 0)
        self.assertGreater(report["already"], 50)
        self.assertEqual(self.verdict("fp16")["largest_probability_change"], 0)

    def test_fp16_weights_become_bf16_but_for_the_heatmaps_tail(self):
        report = json.loads(self.reports["bf16"].stdout)
        self.assertGreater(report["narrowed"], 50)
        self.assertGreater(report["kept_for_the_heatmap"], 0)
        self.assertEqual(report["computed"], "bf16" if has_bf16() else "fp32")

    def test_int8_is_smaller_and_keeps_its_heatmap(self):
        verdict = self.verdict("int8")
        self.assertLess(verdict["after"]["file_bytes"], verdict["before"]["file_bytes"])
        self.assertGreater(verdict["heatmap_correlation"], 0.5)

    def test_onnxruntime_loads_each_and_agrees(self):
        try:
            import numpy
            import onnxruntime
        except ImportError:
            self.skipTest("no onnxruntime for this Python")
        x = numpy.random.default_rng(0).normal(size=(1, 3, 300, 300)).astype("float32")
        numpy.save(self.work / "x.npy", x)
        for to, tolerance in (("fp16", 1e-4), ("bf16", 0.05), ("int8", 0.1)):
            with self.subTest(to):
                model, out = self.folder / f"{to}.onnx", self.work / to
                done = run("run", model, "--input", f"image={self.work}/x.npy", "--output", "logits", "-o", out)
                self.assertEqual(done.returncode, 0, done.stderr)
                session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
                theirs = session.run(None, {"image": x})[0]
                ours = numpy.load(out / "logits.npy")
                self.assertLess(abs(theirs - ours).max(), tolerance * abs(theirs).max())

    def test_without_bf16_arithmetic_it_is_computed_in_fp32_and_said(self):
        model = self.folder / "bf16.onnx"
        old = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
        seen = run("inspect", model, "--json", **old)
        self.assertEqual(json.loads(seen.stdout)["computed"], "fp32", seen.stderr)
        self.assertIn("computed in fp32", " ".join(json.loads(seen.stdout)["card"]["warnings"]))
        answer = run("classify", SAMPLE, "--model", model, "--no-cache", "--json", **old)
        self.assertIn("computed in fp32", answer.stdout)
        if has_bf16():
            self.assertNotIn("computed in fp32", run("classify", SAMPLE, "--model", model, "--no-cache", "--json").stdout)

    def test_the_verdict_can_fail(self):
        again = self.work / "again.onnx"
        done = run("quantize", MODEL, "--to", "bf16", "--verify", self.work, "--max-probability-change", 0,
                   "--no-cache", "-o", again)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("FAILED", done.stdout)

    def test_int8_without_photos_is_wrong_usage(self):
        done = run("quantize", MODEL, "--to", "int8", "-o", self.work / "none.onnx")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)


class Refusals(unittest.TestCase):
    """What makes no sense is said in one line, before any work, and nothing of the user's is touched."""

    SMALL = FIXTURES / "mbconv/model.onnx"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name, photo in (("good", SAMPLE.read_bytes()), ("bad", b"this is no photo")):
            (self.folder / name).mkdir()
            (self.folder / name / "photo.jpg").write_bytes(photo)

    def refuses(self, code, *arguments):
        before = sorted(self.folder.iterdir())
        done = run("quantize", *arguments)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertEqual(sorted(self.folder.iterdir()), before)
        return done.stderr

    def test_a_pipe_is_never_replaced(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        for to in ("fp16", "bf16", "int8"):
            error = self.refuses(2, self.SMALL, "--to", to, "--calibrate", self.folder / "good", "-o", pipe)
            self.assertIn("not a regular file", error)
            self.assertTrue(pipe.is_fifo())

    def test_a_link_is_followed(self):
        link = self.folder / "link.onnx"
        link.symlink_to("real.onnx")
        for _ in range(2):
            done = run("quantize", self.SMALL, "--to", "fp16", "-o", link)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(link.is_symlink())
            self.assertGreater((self.folder / "real.onnx").stat().st_size, 0)

    def test_the_model_is_not_its_own_output_by_any_name(self):
        model = self.folder / "model.onnx"
        shutil.copy(self.SMALL, model)
        os.link(model, self.folder / "hard.onnx")
        (self.folder / "soft.onnx").symlink_to(model)
        for name in ("model.onnx", "good/../model.onnx", "hard.onnx", "soft.onnx"):
            error = self.refuses(2, model, "--to", "fp16", "--verify", self.folder / "good", "-o", self.folder / name)
            self.assertIn("the model itself", error)
        self.assertEqual(model.read_bytes(), self.SMALL.read_bytes())

    def test_a_folder_that_takes_no_file_is_named_before_the_work(self):
        error = self.refuses(2, self.SMALL, "--to", "fp16", "-o", "/proc/x.onnx")
        self.assertIn("/proc/x.onnx", error)
        self.assertNotIn(str(self.SMALL), error)

    def test_folders_without_a_readable_photo_are_named_with_the_reason(self):
        good, bad, out = self.folder / "good", self.folder / "bad", self.folder / "out.onnx"
        for arguments in (("--to", "int8", "--calibrate", bad),
                          ("--to", "int8", "--calibrate", good, "--verify", bad),
                          ("--to", "fp16", "--verify", bad)):
            error = self.refuses(3, self.SMALL, *arguments, "-o", out)
            self.assertIn(f"no photo in {bad} ", error)
            self.assertIn(f"{bad}/photo.jpg: not an image", error)

    def test_what_rounding_took_does_not_come_back(self):
        bf16, int8, out = self.folder / "bf16.onnx", FIXTURES / "int8_qdq/model.onnx", self.folder / "out.onnx"
        done = run("quantize", self.SMALL, "--to", "bf16", "-o", bf16)
        self.assertEqual(done.returncode, 0, done.stderr)
        for model, to in ((bf16, "fp16"), (int8, "fp16"), (int8, "bf16"), (int8, "int8")):
            error = self.refuses(3, model, "--to", to, "--calibrate", self.folder / "good", "-o", out)
            self.assertIn(f"{model.stem if model == bf16 else 'int8'} already", error)


class Signals(unittest.TestCase):
    def test_nothing_goes_on_after_the_command_has_ended(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "photos").mkdir()
            for number in range(16):
                (folder / f"photos/{number}.jpg").symlink_to(SAMPLE)
            command = subprocess.Popen([BINARY, "quantize", MODEL, "--to", "int8", "--calibrate", folder / "photos",
                                        "--search-seconds", "0", "-o", folder / "out.onnx"],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            time.sleep(0.5)
            command.terminate()
            # The pipe ends with the last process that holds it.
            command.communicate(timeout=2)
            self.assertEqual(command.returncode, -signal.SIGTERM)
            self.assertFalse((folder / "out.onnx").exists())


class FromFp32(unittest.TestCase):
    """A model whose weights are fp32: fp16 stores less and says the same, here and elsewhere."""

    def test_fp16_is_a_smaller_file_and_onnxruntime_agrees(self):
        facts = json.loads((FIXTURES / "mbconv/manifest.json").read_text())
        model, tensor = FIXTURES / "mbconv/model.onnx", FIXTURES / "mbconv" / facts["input_file"]
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            shutil.copy(SAMPLE, folder)
            small = folder / "small.onnx"
            done = run("quantize", model, "--to", "fp16", "--verify", folder, "--no-cache", "--json", "-o", small)
            self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
            report = json.loads(done.stdout)
            self.assertGreater(report["narrowed"], 5)
            self.assertEqual(report["already"], 0)
            self.assertEqual(report["verdict"]["agreement"], 1)
            self.assertGreater(report["verdict"]["largest_probability_change"], 0)
            self.assertGreater(report["verdict"]["heatmap_correlation"], 0.99)
            # Of so small a network, half is names and the Casts that come on top.
            self.assertLess(small.stat().st_size, 0.8 * model.stat().st_size)
            done = run("run", small, "--input", f"{facts['input']}={tensor}", "--output", facts["output"], "-o", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            _, ours = read_npy(folder / (facts["output"] + ".npy"))
            _, exact = read_npy(FIXTURES / "mbconv" / facts["logits_file"])
            scale = max(map(abs, exact))
            self.assertLess(max(abs(a - b) for a, b in zip(ours, exact)), 0.01 * scale)
            try:
                import numpy
                import onnxruntime
            except ImportError:
                self.skipTest("no onnxruntime for this Python")
            session = onnxruntime.InferenceSession(str(small), providers=["CPUExecutionProvider"])
            theirs = session.run([facts["output"]], {facts["input"]: numpy.load(tensor)})[0].ravel()
            self.assertLess(max(abs(a - b) for a, b in zip(ours, theirs)), 1e-4 * scale)


@unittest.skipUnless(PHOTOS.is_dir(), "the 75 clinical photos are not here")
class OnPhotosItHasNotSeen(unittest.TestCase):
    """The issue's bounds, on the half of the photos that calibration and search did not look at."""

    def quantize(self, to, *extra):
        with tempfile.TemporaryDirectory() as folder:
            done = run("quantize", MODEL, "--to", to, *extra, "--verify", PHOTOS, "--no-cache", "--json",
                       "-o", pathlib.Path(folder) / "small.onnx")
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return json.loads(done.stdout)

    def test_int8_holds_on_photos_held_out(self):
        report = self.quantize("int8", "--calibrate", PHOTOS)
        verdict = report["verdict"]
        self.assertEqual(verdict["calibrated_on"] + verdict["held_out"]["photos"], verdict["photos"])
        self.assertGreater(verdict["held_out"]["photos"], 30)
        self.assertGreaterEqual(verdict["held_out"]["agreement"], 0.97)
        self.assertLessEqual(verdict["held_out"]["largest_probability_change"], 0.10)
        self.assertGreater(verdict["held_out"]["heatmap_correlation"], 0.95)
        self.assertGreaterEqual(verdict["agreement"], 0.97)
        self.assertGreater(verdict["heatmap_correlation"], 0.95)
        self.assertLess(len(report["kept_fp32"]), report["convolutions"])

    def test_bf16_keeps_class_and_heatmap(self):
        verdict = self.quantize("bf16")["verdict"]
        self.assertGreaterEqual(verdict["agreement"], 0.97)
        self.assertLess(verdict["largest_probability_change"], 0.05)
        self.assertGreater(verdict["heatmap_correlation"], 0.99)


@unittest.skipUnless(os.environ.get("DERMLENS_RELEASE") and os.environ.get("DERMLENS_REFERENCE_DIR"),
                     "it measures: tests/prove.sh speed")
class Speed(unittest.TestCase):
    def test_int8_is_half_as_fast_again_as_fp32_on_efficientnet_v2_s(self):
        model = pathlib.Path(os.environ["DERMLENS_REFERENCE_DIR"]) / "efficientnet_v2_s/model.onnx"
        with tempfile.TemporaryDirectory() as folder:
            small = pathlib.Path(folder) / "int8.onnx"
            done = run("quantize", model, "--to", "int8", "--calibrate", SAMPLE.parent, "--search-seconds", 0,
                       "-o", small)
            self.assertEqual(done.returncode, 0, done.stderr)
            done = run("bench", "--model", model, "--also", small, "--image", SAMPLE, "--weights", "resident",
                       "--runs", 10, "--turns", 3, "--cache-dir", folder, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [row for row in json.loads(done.stdout)["results"] if row["configuration"] == "resident int8"]
        self.assertEqual(len(rows), 2)
        for row in rows:
            print(f"int8, heatmap {row['gradcam']}: {row['speedup']:.2f} x faster than fp32")
            self.assertEqual(row["computed"], "int8")
            self.assertGreaterEqual(row["speedup"], 1.5)


class Bench(unittest.TestCase):
    def test_two_models_are_measured_in_turn_beside_the_machines_floor(self):
        done = run("bench", "--model", MODEL, "--also", MODEL, "--image", SAMPLE, "--runs", 1, "--turns", 1,
                   "--weights", "streamed", "--clients", "1,2", "--no-cache", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertGreater(report["floor"]["f32_gflops"], 1)
        self.assertEqual(len(report["results"]), 4)
        for row in report["results"]:
            self.assertEqual(row["configuration"], "streamed fp16")
            self.assertEqual(row["computed"], "fp32")
            self.assertGreater(row["of_floor"], 0.9)
            self.assertGreater(row["speedup"], 0)
        self.assertEqual(set(report["results"][1]["requests_per_second"]), {"1", "2"})


if __name__ == "__main__":
    unittest.main()
