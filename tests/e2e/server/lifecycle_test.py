"""Start, idle, load, unload, swap, end: memory comes back, signals are obeyed, mistakes are told."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import harness
from harness import wait_for

IDLE_KB = 12 * 1024


class Idle(unittest.TestCase):
    def test_an_idle_server_is_small(self):
        with harness.Server() as server:
            server.get("/health/")
            server.get("/")
            self.assertLessEqual(server.status("VmRSS"), IDLE_KB)

    def test_preload_loads_without_a_request(self):
        for options, env in ((("--preload",), {}), ((), {"PRELOAD_MODEL": "true"})):
            with harness.Server(*options, env=env) as server:
                self.assertTrue(wait_for(lambda: server.memory()["model_loaded"]))

    def test_an_unused_model_is_given_back(self):
        with harness.Server("--idle-unload", "500ms") as server:
            server.post("/api/v1/explain?keep=false", harness.PHOTO)
            self.assertTrue(wait_for(lambda: not server.memory()["model_loaded"]))
            time.sleep(0.2)
            settled = server.status("RssAnon")

            def back():
                return server.status("RssAnon") - settled < 4096
            for _ in range(3):
                self.assertEqual(server.post("/api/v1/explain?keep=false", harness.PHOTO).status, 200)
                self.assertTrue(wait_for(lambda: not server.memory()["model_loaded"]))
            self.assertTrue(wait_for(back), f"{settled} kB, {server.status('RssAnon')} now")


class Cycles(unittest.TestCase):
    def test_a_hundred_loads_and_unloads_leave_no_growth(self):
        with harness.Server("--sessions", "1") as server:
            def cycle():
                for what in ("load", "unload"):
                    answer = server.post_json(f"/v2/repository/models/skin7-b0/{what}", {})
                    self.assertEqual(answer.status, 200, answer.body)
            idle = server.status("VmRSS")
            for _ in range(10):
                cycle()
            before = server.status("RssAnon")
            threads = server.status("Threads")
            for _ in range(90):
                cycle()
            self.assertLess(server.status("RssAnon") - before, 1024)
            self.assertLess(server.status("VmRSS") - idle, 4096)
            self.assertEqual(server.status("Threads"), threads)
            reserved = server.memory()["ledger"]
            self.assertEqual((reserved["weights"], reserved["arena"], reserved["code"]), (0, 0, 0))


class Unloaded(unittest.TestCase):
    def test_a_request_after_an_unload_loads_again(self):
        with harness.Server() as server:
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            answer = server.post_json("/v2/repository/models/skin7-b0/unload", {})
            self.assertEqual(answer.status, 200, answer.body)
            self.assertFalse(server.memory()["model_loaded"])
            self.assertEqual(server.get("/v2/health/ready").status, 200)
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            self.assertTrue(server.memory()["model_loaded"])


class Directory(unittest.TestCase):
    def test_models_of_a_folder_come_and_are_replaced(self):
        with harness.tempfile.TemporaryDirectory() as folder:
            shutil.copy(harness.MODEL, os.path.join(folder, "first.onnx"))
            os.makedirs(os.path.join(folder, "second", "3"))
            shutil.copy(harness.MODEL, os.path.join(folder, "second", "3", "model.onnx"))
            with harness.Server("--model-dir", folder, model=None) as server:
                names = {(m["name"], m["version"])
                         for m in server.get("/api/v1/models").json()["models"]}
                self.assertEqual(names, {("first", "1"), ("second", "3")})
                answer = server.post("/api/v1/classify?model=second", harness.PHOTO)
                self.assertEqual(answer.status, 200, answer.body)
                shutil.copy(harness.MODEL, os.path.join(folder, "third.onnx"))
                self.assertEqual(server.post("/api/v1/classify?model=third", harness.PHOTO).status, 200)
                self.assertEqual(server.post("/api/v1/classify?model=none", harness.PHOTO).status, 404)
                self.swap(server, folder)

    def swap(self, server, folder):
        """A file that is replaced is taken up by `load`, while requests go on."""
        stop = threading.Event()
        statuses = []
        def ask():
            while not stop.is_set():
                statuses.append(server.post("/api/v1/classify?model=first", harness.PHOTO).status)
        thread = threading.Thread(target=ask)
        thread.start()
        fresh = os.path.join(folder, "new")
        shutil.copy(harness.MODEL, fresh)
        os.replace(fresh, os.path.join(folder, "first.onnx"))
        answer = server.post_json("/v2/repository/models/first/load", {})
        time.sleep(0.3)
        stop.set()
        thread.join()
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(set(statuses), {200})
        with open(os.path.join(folder, "broken"), "wb") as file:
            file.write(b"not a model")
        os.replace(os.path.join(folder, "broken"), os.path.join(folder, "first.onnx"))
        refused = server.post_json("/v2/repository/models/first/load", {})
        self.assertGreaterEqual(refused.status, 400)
        self.assertNotEqual(refused.status, 500)
        self.assertEqual(server.post("/api/v1/classify?model=first", harness.PHOTO).status, 200)

    def test_whatever_the_folder_holds_the_limit_does(self):
        """The first of the folder is surveyed; the others take what the ledger leaves."""
        with harness.tempfile.TemporaryDirectory() as folder:
            for name in "abc":
                shutil.copy(harness.MODEL, os.path.join(folder, name + ".onnx"))
            with harness.Server("--model-dir", folder, "--memory-limit", "64M", model=None) as server:
                photo = harness.png(1500, 1200)
                for name in "abcacb":
                    for answer in harness.in_parallel(4, lambda i, name=name: server.post(
                            "/api/v1/explain?model=" + name, photo)):
                        self.assertEqual(answer.status, 200, (name, answer.body[:300]))
                self.assertLess(server.status("VmHWM"), 64 * 1024)

    def test_what_is_idle_gives_way_to_what_comes(self):
        """A body that fits only where kept results and unused models lie takes their room."""
        with harness.tempfile.TemporaryDirectory() as folder:
            for name in "abcdef":
                shutil.copy(harness.MODEL, os.path.join(folder, name + ".onnx"))
            with harness.Server("--model-dir", folder, "--memory-limit", "64M", "--sessions", "1",
                                "--weights", "streamed", "--max-upload", "24M", model=None) as server:
                def loaded():
                    return [m["name"] for m in server.get("/api/v1/models").json()["models"]
                            if m["state"] == "ready"]
                for name in "abcdef":
                    answer = server.post("/api/v1/explain?model=" + name, harness.PHOTO)
                    self.assertEqual(answer.status, 200, answer.body[:300])
                before = loaded()
                self.assertGreater(len(before), 1)
                free = (64 << 20) - server.memory()["reserved_bytes"]
                # A picture ends before the bytes that make it large.
                photo = harness.PHOTO + bytes(free + (1 << 20))
                answer = server.post("/api/v1/explain?model=f", photo)
                self.assertEqual(answer.status, 200, answer.body[:300])
                self.assertLess(len(loaded()), len(before))
                self.assertIn("f", loaded())
                self.assertEqual(server.post("/api/v1/explain?model=a", harness.PHOTO).status, 200)
                self.assertLess(server.status("VmHWM"), 64 * 1024)

    def test_the_least_recently_used_gives_way(self):
        with harness.tempfile.TemporaryDirectory() as folder:
            for name in "abcdef":
                shutil.copy(harness.MODEL, os.path.join(folder, name + ".onnx"))
            with harness.Server("--model-dir", folder, "--memory-limit", "64M", "--sessions", "1",
                                "--weights", "resident", model=None) as server:
                for name in "abcdefab":
                    answer = server.post("/api/v1/classify?model=" + name, harness.PHOTO)
                    self.assertEqual(answer.status, 200, (name, answer.body))
                self.assertLess(server.status("VmHWM"), 64 * 1024)


class Ending(unittest.TestCase):
    def test_sigterm_finishes_what_runs_and_ends_with_0(self):
        server = harness.Server("--sessions", "1")
        # The first takes long enough for all to be seen waiting.
        photos = [harness.png(6000, 4000)] + [harness.png(1200, 1000)] * 3
        answers = []
        threads = [threading.Thread(
            target=lambda photo=photo: answers.append(server.post("/api/v1/explain", photo).status))
            for photo in photos]
        for thread in threads:
            thread.start()
        self.assertTrue(wait_for(lambda: server.memory()["queue"]["depth"] == 3))
        idle = server.connect()
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        server.stop(0)
        self.assertEqual(answers, [200] * 4)
        self.assertLess(time.monotonic() - start, 30)
        idle.close()

    def test_sigint_ends_with_0_too(self):
        server = harness.Server()
        server.process.send_signal(signal.SIGINT)
        self.assertEqual(server.process.wait(20), 0)
        server.stop(0)


def oom_score(pid):
    try:
        with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
            return int(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def listens(pid):
    """Whether the process holds a socket."""
    folder = f"/proc/{pid}/fd"
    return any(os.readlink(f"{folder}/{fd}").startswith("socket:") for fd in os.listdir(folder))


class Survey(unittest.TestCase):
    """The child that measures the model before the server listens."""

    def begin(self):
        """(server, its child), the child being stopped: it measures for as long as we like."""
        for _ in range(5):  # where the machine is busy, the child may be gone before we look
            server = subprocess.Popen(
                [harness.BINARY, "serve", "--port", "0", "--model", harness.MODEL],
                stderr=subprocess.DEVNULL)
            children = f"/proc/{server.pid}/task/{server.pid}/children"
            child, deadline = 0, time.monotonic() + 5
            while not child and server.poll() is None and time.monotonic() < deadline:
                with open(children, encoding="ascii") as file:
                    child = int((file.read().split() or [0])[0])
            try:
                if child:
                    os.kill(child, signal.SIGSTOP)
                    return server, child
            except ProcessLookupError:
                pass
            server.kill()
            server.wait(20)
        self.fail("no child was seen that measures")

    def test_told_to_end_meanwhile_both_end_with_0(self):
        for wish in (signal.SIGTERM, signal.SIGINT):
            server, child = self.begin()
            server.send_signal(wish)
            self.assertEqual(server.wait(20), 0, wish)
            self.assertFalse(os.path.exists(f"/proc/{child}"))

    def test_killed_meanwhile_it_leaves_no_orphan(self):
        server, child = self.begin()
        server.kill()
        server.wait(20)
        try:
            os.kill(child, signal.SIGCONT)  # it may have been stopped at its first instruction
        except ProcessLookupError:
            pass

        def gone():
            try:
                with open(f"/proc/{child}/stat", encoding="ascii") as file:
                    return file.read().split()[2] == "Z"
            except (FileNotFoundError, ProcessLookupError):
                return True
        self.assertTrue(wait_for(gone))

    def test_out_of_memory_the_kernel_takes_it_and_the_server_goes_on(self):
        server, child = self.begin()
        try:
            scores = [oom_score(child)]
            while scores[-1] is not None and scores[-1] != 1000:
                # A moment's work for it, in which it cannot come far.
                os.kill(child, signal.SIGCONT)
                os.kill(child, signal.SIGSTOP)
                scores.append(oom_score(child))
            self.assertEqual(scores[-1], 1000)
            self.assertLess(oom_score(server.pid), 1000)
            os.kill(child, signal.SIGKILL)  # as the kernel would
            self.assertTrue(wait_for(lambda: listens(server.pid)))
        finally:
            server.terminate()
            self.assertEqual(server.wait(20), 0)


class Mistakes(unittest.TestCase):
    def run_serve(self, *arguments, env=None):
        done = subprocess.run([harness.BINARY, "serve", *arguments], capture_output=True, timeout=30,
                              env={**os.environ, **(env or {})}, check=False)
        return done.returncode, done.stderr.decode()

    def test_each_mistake_is_one_line_and_exit_2_or_3(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            for arguments in (("--port", port, "--model", harness.MODEL),
                              ("--port", "0", "--model", "/nowhere.onnx"),
                              ("--port", "0", "--model", harness.MODEL, "--host", "not an address"),
                              ("--port", "0", "--model", harness.MODEL, "--api-token-file", "/nowhere"),
                              ("--port", "0", "--model", harness.MODEL, "--history", "/nowhere/x.db"),
                              ("--port", "0", "--model", harness.MODEL, "--queue", "many"),
                              ("--port", "0", "--model", harness.MODEL, "--deadline", "soon"),
                              ("--port", "0", "--model-dir", "/nowhere/at/all"),
                              ("--port", "0", "--model", __file__)):
                code, text = self.run_serve(*arguments)
                self.assertIn(code, (2, 3), (arguments, text))
                self.assertEqual(text.count("\n"), 1, (arguments, text))
                self.assertTrue(text.startswith("dermlens: "), text)

    def test_a_bad_value_in_the_environment_is_one_line_and_exit_2(self):
        for name, values in {"DERMLENS_THREADS": ("0", "many", "1.5", "257"),
                             "DERMLENS_WEIGHTS": ("nowhere", "1"),
                             "DERMLENS_NO_CACHE": ("perhaps",),
                             "DERMLENS_MEMORY_LIMIT": ("0", "lots"),
                             "DERMLENS_PORT": ("70000", "-1", "web"),
                             "DERMLENS_QUEUE": ("-1", "many"),
                             "DERMLENS_SESSIONS": ("2000",),
                             "DERMLENS_MAX_UPLOAD": ("big",),
                             "DERMLENS_MAX_PIXELS": ("-5M",),
                             "DERMLENS_MAX_CONNECTIONS": ("0",),
                             "DERMLENS_DEADLINE": ("soon",),
                             "DERMLENS_RESULT_TTL": ("-1s",),
                             "DERMLENS_IDLE_UNLOAD": ("later",),
                             "DERMLENS_HISTORY_DAYS": ("-1",),
                             "DERMLENS_LOG_FORMAT": ("xml",),
                             "DERMLENS_PRELOAD": ("perhaps",),
                             "PORT": ("70000", "-1", "80a", "web"),
                             "OMP_NUM_THREADS": ("0", "-2", "two", "1000"),
                             "ENABLE_GRADCAM": ("perhaps",),
                             "PRELOAD_MODEL": ("2",)}.items():
            # With a folder for a token file it ends at once, whatever else it may take.
            port = () if name.endswith("PORT") else ("--port", "0")
            for value in values:
                code, text = self.run_serve(*port, "--model", harness.MODEL, "--api-token-file", "/",
                                            env={name: value})
                self.assertEqual(code, 2, (name, value, text))
                # OpenMP's own library may complain of its variable first.
                lines = [line for line in text.splitlines() if line and "libgomp" not in line]
                self.assertEqual(len(lines), 1, (name, value, text))
                self.assertRegex(lines[0], r"^dermlens: ")
                self.assertIn(value, lines[0])

    def test_what_is_given_goes_before_the_environment(self):
        with harness.Server(env={"PORT": "web", "DERMLENS_PORT": "web"}) as server:
            self.assertEqual(server.get("/health/").status, 200)

    def test_options_come_from_the_environment(self):
        with harness.Server(env={"DERMLENS_QUEUE": "7", "DERMLENS_MEMORY_LIMIT": "100M",
                                 "DERMLENS_WEIGHTS": "streamed"}) as server:
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            memory = server.memory()
            self.assertEqual(memory["weights"]["placement"], "streamed")
            self.assertEqual(memory["queue"]["limit"], 7)
            self.assertEqual((memory["limit_mb"], memory["limit_source"]), (100, "flag"))


class Logs(unittest.TestCase):
    def test_a_line_a_request_without_ids(self):
        with harness.Server("--log-format", "json") as server:
            body = server.post("/api/v1/explain", harness.PHOTO).json()
            server.get("/api/v1/results/" + body["id"])
            time.sleep(0.1)
            log = server.log()
            self.assertNotIn(body["id"], log)
            lines = [harness.json.loads(line) for line in log.splitlines()]
            requests = [line for line in lines if line["message"] == "request"]
            explained = [line for line in requests if line["route"] == "/api/v1/explain"]
            self.assertEqual(len(explained), 1, requests)
            self.assertEqual((explained[0]["method"], explained[0]["status"]), ("POST", 200))
            self.assertGreater(explained[0]["bytes"], 1000)
            for line in requests:
                self.assertGreaterEqual(line["ms"], 0)
                self.assertGreater(line["peak_mb"], 1)
                self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT")


if __name__ == "__main__":
    harness.main()
