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

    def test_a_server_that_breaks_the_procedure_fails_it(self):
        with harness.Server(env={"ENABLE_GRADCAM": "false"}) as server:
            done = selftest("--url", f"http://127.0.0.1:{server.port}", *FEW)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("FAILED", done.stdout)

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
