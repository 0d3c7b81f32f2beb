"""The seed's test_memory_optimization.py had six checks; these are the same six, against the real
binary: lazy loading, model loading, prediction, Grad-CAM on and off, clean-up, environment variables.

  six_checks_test.py [LazyLoading | ModelLoading | Prediction | GradCam | CleanUp | EnvironmentVariables]
"""

import base64
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "server"))
import harness  # noqa: E402

PHOTO = base64.b64encode(harness.PHOTO).decode()
# Their authors' estimates, in MB.
SEED_IDLE, SEED_LOAD, SEED_PREDICTION, SEED_GRADCAM, SEED_AFTER = 150, 225, 30, 50, 400


def predict(server):
    return server.post_json("/predict_with_gradcam", {"data": PHOTO})


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def settled_threads(server):
    """How many threads there are once none has come or gone for half a second."""
    counts = []
    while len(counts) < 10 or len(set(counts[-10:])) > 1:
        counts.append(server.status("Threads"))
        time.sleep(0.05)
    return counts[-1]


class LazyLoading(unittest.TestCase):
    """1. The model is not loaded before somebody asks, and many first ones load it once."""

    def test_an_idle_server_holds_no_model(self):
        with harness.Server() as server:
            for path in ("/", "/health/", "/v2/health/ready", "/metrics"):
                self.assertEqual(server.get(path).status, 200, path)
            memory = server.memory()
            self.assertIs(memory["model_loaded"], False)
            self.assertEqual(memory["ledger"]["weights"], 0)
            self.assertLess(memory["memory"]["rss_mb"], SEED_IDLE / 10)

    def test_eight_first_requests_load_it_once(self):
        with harness.Server() as server:
            answers = harness.in_parallel(8, lambda _: predict(server).status)
            self.assertEqual(answers, [200] * 8)
            metrics = server.get("/metrics").body.decode()
            loads = [line for line in metrics.splitlines()
                     if line.startswith("dermlens_model_load_duration_seconds_count")]
            self.assertEqual([float(line.split()[-1]) for line in loads], [1], metrics)


class ModelLoading(unittest.TestCase):
    """2. The model loads, says what it is, and costs a fraction of the seed's 225 MB."""

    def test_loading_takes_what_the_plan_says(self):
        with harness.Server() as server:
            idle = server.memory()["memory"]["anon_mb"]
            answer = server.post_json("/v2/repository/models/skin7-b0/load", {})
            self.assertEqual(answer.status, 200, answer.body)
            memory = server.memory()
            self.assertIs(memory["model_loaded"], True)
            grown = memory["memory"]["anon_mb"] - idle
            self.assertLess(grown, SEED_LOAD / 3)
            self.assertLessEqual(grown, memory["plan"]["planned_bytes"] / 2**20 + 4)
            card = server.get("/api/v1/models/skin7-b0").json()
            self.assertEqual(card["state"], "ready", card)

    def test_a_damaged_model_is_told_and_the_server_stays(self):
        with harness.tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "broken.onnx"
            path.write_bytes(pathlib.Path(harness.MODEL).read_bytes()[:100_000])
            try:
                server = harness.Server(model=str(path))
            except RuntimeError:
                return  # said at start, before anything is served
            with server:
                self.assertGreaterEqual(predict(server).status, 400)
                self.assertEqual(server.get("/health/").body, b"ok")


class Prediction(unittest.TestCase):
    """3. A prediction is the same each time, sums to 100 and leaves nothing behind."""

    def test_predictions_repeat_themselves_and_do_not_grow(self):
        with harness.Server() as server:
            first = predict(server).json()
            self.assertEqual(len(first["results"]), 7)
            self.assertAlmostEqual(sum(r["probability"] for r in first["results"]), 100, delta=0.1)
            for _ in range(3):
                predict(server)
            before = server.status("RssAnon")
            for _ in range(20):
                again = predict(server).json()
                self.assertEqual(again["results"], first["results"])
            self.assertLess((server.status("RssAnon") - before) / 1024, 1)

    def test_what_a_prediction_adds_at_its_peak_is_below_the_seeds(self):
        with harness.Server("--sessions", "1") as server:
            server.post_json("/v2/repository/models/skin7-b0/load", {})
            loaded = server.status("VmRSS")
            self.assertEqual(server.post("/api/v1/classify?keep=false", harness.PHOTO).status, 200)
            self.assertLess((server.status("VmHWM") - loaded) / 1024, SEED_PREDICTION)


class GradCam(unittest.TestCase):
    """4. Grad-CAM works when it is on, is absent when it is off, and costs next to nothing."""

    def peak(self, value):
        with harness.Server("--sessions", "1", env={"ENABLE_GRADCAM": value}) as server:
            memory = server.memory()
            answer = predict(server)
            self.assertEqual(answer.status, 200, answer.body)
            return memory["gradcam_enabled"], answer.json()["heatmap_base64"], \
                server.status("VmHWM") / 1024

    def test_on_and_off(self):
        enabled, heatmap, with_heatmap = self.peak("true")
        self.assertIs(enabled, True)
        self.assertTrue(base64.b64decode(heatmap).startswith(b"\x89PNG"))
        disabled, nothing, without = self.peak("false")
        self.assertIs(disabled, False)
        self.assertIsNone(nothing)
        self.assertLess(with_heatmap - without, SEED_GRADCAM / 2)

    def test_a_request_may_do_without(self):
        with harness.Server() as server:
            self.assertEqual(
                server.post("/api/v1/classify?keep=false", harness.PHOTO).json().get("explanations"),
                [])


class CleanUp(unittest.TestCase):
    """5. After the work the memory is given back: theirs stayed at 400 MB."""

    def test_an_unused_model_goes_and_its_memory_with_it(self):
        with harness.Server("--idle-unload", "500ms") as server:
            idle = server.status("VmRSS")
            self.assertEqual(predict(server).status, 200)
            self.assertTrue(until(lambda: not server.memory()["model_loaded"]))
            self.assertTrue(until(lambda: server.status("VmRSS") - idle <= 4096),
                            f"{idle} kB idle, {server.status('VmRSS')} kB after the unload")
            ledger = server.memory()["ledger"]
            self.assertEqual((ledger["weights"], ledger["arena"], ledger["decode"],
                              ledger["results"]), (0, 0, 0, 0))
            self.assertEqual(predict(server).status, 200)

    def test_a_loaded_server_stays_far_below_what_theirs_kept(self):
        with harness.Server() as server:
            for _ in range(5):
                predict(server)
            self.assertLess(server.memory()["memory"]["rss_mb"], SEED_AFTER / 4)


class EnvironmentVariables(unittest.TestCase):
    """6. ENABLE_GRADCAM, PRELOAD_MODEL, OMP_NUM_THREADS and PORT mean what they meant."""

    def test_the_seeds_spellings_of_true(self):
        for value, enabled in (("true", True), ("1", True), ("yes", True), ("True", True),
                               ("false", False), ("0", False), ("no", False)):
            with harness.Server(env={"ENABLE_GRADCAM": value}) as server:
                self.assertIs(server.memory()["gradcam_enabled"], enabled, value)

    def test_preload_model_loads_before_the_first_request(self):
        with harness.Server(env={"PRELOAD_MODEL": "true"}) as server:
            self.assertTrue(until(lambda: server.memory()["model_loaded"]))

    def test_omp_num_threads_is_the_threads_of_one_request(self):
        with harness.Server("--sessions", "1", env={"OMP_NUM_THREADS": "1"}) as server:
            predict(server)
            one = settled_threads(server)
        with harness.Server("--sessions", "1", env={"OMP_NUM_THREADS": "2"}) as server:
            predict(server)
            self.assertEqual(settled_threads(server), one + 1)

    def test_port_is_where_it_listens(self):
        with harness.socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = harness.subprocess.Popen(
            [harness.BINARY, "serve", "--model", harness.MODEL], env={"PORT": str(port)},
            stdout=harness.subprocess.DEVNULL, stderr=harness.subprocess.DEVNULL)
        try:
            def answers():
                try:
                    with harness.socket.create_connection(("127.0.0.1", port), timeout=1):
                        return True
                except OSError:
                    return False
            self.assertTrue(until(answers))
        finally:
            process.terminate()
            self.assertEqual(process.wait(30), 0)


if __name__ == "__main__":
    harness.main()
