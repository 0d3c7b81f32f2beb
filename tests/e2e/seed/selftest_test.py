"""`dermlens selftest` as a user runs it: its table, its JSON, its JUnit file, its exit codes."""

import json
import pathlib
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "server"))
import harness  # noqa: E402

STEPS = ["idle", "first prediction", "three at once", "ten in a row", "many clients",
         "load and unload", "50 megapixels", "ten broken files", "the end"]
FEW = ("--clients", "8", "--requests", "80", "--cycles", "3")
FEWEST = ("--clients", "2", "--requests", "10", "--cycles", "2")


def selftest(*arguments, env=None):
    environment = {k: v for k, v in harness.os.environ.items() if not k.startswith("DERMLENS_")}
    environment["DERMLENS_CACHE_DIR"] = harness.os.path.join(
        harness.tempfile.gettempdir(), "dermlens-e2e-cache")
    return subprocess.run([harness.BINARY, "selftest", *arguments], env={**environment, **(env or {})},
                          capture_output=True, text=True, timeout=300, check=False)


class Selftest(unittest.TestCase):
    def test_a_healthy_build_passes_every_step(self):
        with harness.tempfile.TemporaryDirectory() as folder:
            junit = pathlib.Path(folder) / "report.xml"
            done = selftest("--model", harness.MODEL, "--memory-limit", "512M", "--json",
                            "--junit", str(junit), *FEW)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            report = json.loads(done.stdout)
            self.assertEqual([step["step"] for step in report["steps"]], STEPS)
            self.assertTrue(report["passed"])
            self.assertIn("done (plan A, as is", report["decision"])
            suite = xml.etree.ElementTree.parse(junit).getroot()
            self.assertEqual(len(suite.findall("testcase")), len(STEPS))
            self.assertEqual(suite.get("failures"), "0")

    @unittest.skipUnless(harness.os.environ.get("DERMLENS_RELEASE"), "a minute long: tests/prove.sh selftest")
    def test_the_whole_procedure_ends_within_three_minutes(self):
        done = selftest("--model", harness.MODEL, "--memory-limit", "512M", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertLess(report["seconds"], 180)
        crowd = next(step["here"] for step in report["steps"] if step["step"] == "many clients")
        self.assertIn("64 clients, 2,000 answered", crowd)
        print(crowd, f"{report['seconds']:.0f} s in all", sep="; ")

    def test_another_server_is_tested_and_left_running(self):
        with harness.Server("--memory-limit", "96M") as server:
            done = selftest("--url", f"http://127.0.0.1:{server.port}/", *FEW)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("verdict: passed", done.stdout)
            self.assertIsNone(server.process.poll())
            self.assertEqual(server.memory()["results_held"], 0)

    def test_a_server_that_forgets_results_for_want_of_memory_is_healthy(self):
        for limit in ("40M", "56M"):
            done = selftest("--model", harness.MODEL, "--memory-limit", limit, *FEWEST)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("stable: done (plan A, as is", done.stdout)

    def test_without_heatmaps_only_the_first_prediction_fails_and_says_so(self):
        with harness.Server(env={"ENABLE_GRADCAM": "false"}) as server, \
                harness.tempfile.TemporaryDirectory() as folder:
            junit = pathlib.Path(folder) / "report.xml"
            done = selftest("--url", f"http://127.0.0.1:{server.port}", "--json",
                            "--junit", str(junit), *FEWEST)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertEqual(server.memory()["results_held"], 0)
            report = json.loads(done.stdout)
            faults = {step["step"]: step["fault"] for step in report["steps"] if step["fault"]}
            self.assertEqual(faults, {"first prediction": "gradcam_enabled is false: heatmaps are "
                                                          "switched off (ENABLE_GRADCAM)"})
            self.assertIn("stable: done (plan C, no Grad-CAM", report["decision"])
            failed = {case.get("name"): case.find("failure").get("message")
                      for case in xml.etree.ElementTree.parse(junit).iter("testcase")
                      if case.find("failure") is not None}
            self.assertEqual(failed, faults)

    def test_growth_is_not_judged_where_the_uploads_failed(self):
        with harness.Server("--max-upload", "64K") as server:
            done = selftest("--url", f"http://127.0.0.1:{server.port}", "--json", *FEWEST)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            report = json.loads(done.stdout)
            self.assertIn("growth not measured, with failures: plan B", report["decision"])

    def test_a_server_that_does_not_start_lends_its_exit_code(self):
        with harness.tempfile.NamedTemporaryFile(suffix=".onnx") as broken:
            broken.write(b"no model")
            broken.flush()
            for arguments, code, name in ((("--memory-limit", "1M"), 4, "over_limit"),
                                          (("--model", broken.name), 3, "malformed"),
                                          (("--model", "/no/such/model.onnx"), 3, "not_found")):
                done = selftest(*arguments, "--json")
                self.assertEqual(done.returncode, code, (arguments, done.stderr))
                self.assertEqual(done.stderr.count("dermlens: "), 1, done.stderr)
                answer = json.loads(done.stdout)
                self.assertEqual(answer["code"], name)
                self.assertEqual(done.stderr, f"dermlens: {answer['error']}\n")

    def test_an_address_that_is_none_is_wrong_usage(self):
        for url, words in (("https://localhost:1", "only plain http"), ("ftp://x", "only plain http"),
                           ("http://localhost:1/x", "a path is not taken ('/x'"),
                           ("nonsense", "not a URL"), ("http://a:99999", "not a port")):
            done = selftest("--url", url)
            self.assertEqual(done.returncode, 2, (url, done.stderr))
            self.assertIn(words, done.stderr)

    def test_mistakes_are_one_line(self):
        for arguments in (("--url", "ftp://x"), ("--url", "nonsense"),
                          ("--url", "http://a:99999"), ("--requests", "0"),
                          ("--junit", "/no/such/folder/report.xml"),
                          ("--model", "/no/such/model.onnx"), ("--memory-limit", "1M")):
            done = selftest(*arguments)
            self.assertIn(done.returncode, (2, 3, 4), (arguments, done.stdout, done.stderr))
            self.assertEqual(done.stderr.count("\n"), 1, (arguments, done.stderr))
            self.assertTrue(done.stderr.startswith("dermlens: "), done.stderr)


if __name__ == "__main__":
    harness.main()
