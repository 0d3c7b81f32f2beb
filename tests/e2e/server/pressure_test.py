"""The limit moves while the server runs, in a real control group: it falls to smaller placements in
time, nobody is killed, nobody hears anything but 200 and 503, and it climbs back."""

import os
import subprocess
import sys
import threading
import time
import unittest

import harness

sys.path.insert(0, os.path.join(harness.SOURCE, "tests", "e2e"))
import control_group  # pylint: disable=wrong-import-position

MB = 1 << 20
# A process that takes memory step by step, and holds it until it is killed.
NEIGHBOUR = """
import sys, time
held = []
for _ in range(int(sys.argv[1]) // 2):
    held.append(b"x" * (2 << 20))
    time.sleep(0.2)
print("full", flush=True)
time.sleep(600)
"""


class Neighbour:
    def __init__(self, group, megabytes):
        self.process = subprocess.Popen([sys.executable, "-S", "-c", NEIGHBOUR, str(megabytes)],
                                        preexec_fn=group.join, stdout=subprocess.PIPE)

    def wait_until_full(self):
        return self.process.stdout.readline() == b"full\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Load:
    """Clients that explain again and again while it is entered."""

    def __init__(self, server, clients=4):
        self.server, self.statuses, self.trouble = server, [], []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self):
        while not self.stop.is_set():
            try:
                self.statuses.append(self.server.post("/api/v1/explain", harness.PHOTO).status)
            except OSError as error:
                self.trouble.append(repr(error))
                return

    def answered(self):
        return self.statuses.count(200)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def lower(group, limit):
    """Version 1 refuses as long as more is in use than can be taken back."""
    def tried():
        try:
            group.set_limit(limit)
            return True
        except OSError:
            return False
    return harness.wait_for(tried)


@unittest.skipIf(control_group.why_not(), f"no control group: {control_group.why_not()}")
class Pressure(unittest.TestCase):
    def placement(self, server):
        return server.memory()["weights"]["placement"]

    def goes_on(self, load):
        before = load.answered()
        self.assertTrue(harness.wait_for(lambda: load.answered() >= before + 8), load.trouble)

    def test_a_limit_lowered_under_load_is_obeyed(self):
        with control_group.Group(160 * MB) as group, \
                harness.Server("--sessions", "2", "--result-ttl", "5s", group=group) as server:
            with Load(server) as load:
                self.goes_on(load)
                memory = server.memory()
                self.assertEqual((memory["weights"]["placement"], memory["limit_source"]),
                                 ("resident", "cgroup"))
                self.assertIsNone(memory["weights"]["fell_from"])
                for limit, placement in ((68, "mapped"), (52, "streamed")):
                    self.assertTrue(lower(group, limit * MB))
                    self.assertTrue(harness.wait_for(lambda: server.memory()["limit_mb"] <= limit))
                    self.assertTrue(harness.wait_for(lambda: self.placement(server) == placement),
                                    server.log())
                    self.goes_on(load)
                memory = server.memory()
                self.assertIn("resident weights, 2", memory["weights"]["fell_from"])
                self.assertIn("limit 52.0 MB", memory["weights"]["because"])
                self.assertLess(memory["memory"]["anon_mb"], 52)
                group.set_limit(160 * MB)
                self.assertTrue(harness.wait_for(lambda: server.memory()["limit_mb"] == 160))
                # It does not swing: a while must pass.
                self.assertEqual(self.placement(server), "streamed")
                self.assertTrue(harness.wait_for(lambda: self.placement(server) == "resident", 60))
                self.goes_on(load)
                self.assertIsNone(server.memory()["weights"]["fell_from"])
            self.assertEqual(load.trouble, [])
            self.assertLessEqual(set(load.statuses), {200, 503})
            self.assertEqual(group.kills(), 0)
            self.assertIn("falling from resident weights, 2 at once to mapped", server.log())
            self.assertIn("falling from mapped weights, 2 at once to streamed", server.log())
            self.assertIn("climbing to resident weights, 2 at once", server.log())

    def test_a_neighbour_that_fills_the_group_is_given_way(self):
        with control_group.Group(112 * MB) as group, \
                harness.Server("--sessions", "2", "--result-ttl", "5s", group=group) as server:
            with Load(server) as load:
                self.goes_on(load)
                self.assertEqual(self.placement(server), "resident")
                with Neighbour(group, 48) as neighbour:
                    self.assertTrue(neighbour.wait_until_full())
                    self.assertTrue(harness.wait_for(
                        lambda: self.placement(server) in ("mapped", "streamed")))
                    self.goes_on(load)
                    memory = server.memory()
                    self.assertGreater(memory["others_mb"], 40)
                    self.assertLess(memory["limit_mb"], 72)
                    self.assertIn("others hold", memory["weights"]["because"])
            self.assertEqual(load.trouble, [])
            self.assertLessEqual(set(load.statuses), {200, 503})
            self.assertEqual(group.kills(), 0)

    def test_where_nothing_fits_the_model_is_given_back_until_something_does(self):
        with control_group.Group(112 * MB) as group, \
                harness.Server("--sessions", "1", "--result-ttl", "5s", group=group) as server:
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            with Neighbour(group, 92) as neighbour:
                self.assertTrue(neighbour.wait_until_full())
                # The server looks five times a second, and until then believes in what was left before.
                self.assertTrue(harness.wait_for(
                    lambda: not server.memory()["model_loaded"] and
                    server.memory()["limit_mb"] < 24))
                refused = server.post("/api/v1/explain", harness.PHOTO)
                self.assertEqual(refused.status, 503, refused.body)
                self.assertGreater(int(refused.headers["Retry-After"]), 0)
                self.assertEqual(server.get("/health/").body, b"ok")
            self.assertTrue(harness.wait_for(
                lambda: server.post("/api/v1/explain", harness.PHOTO).status == 200))
            self.assertEqual(group.kills(), 0)

    def test_what_the_operator_asked_for_stays(self):
        with control_group.Group(160 * MB) as group, \
                harness.Server("--sessions", "2", "--weights", "resident", group=group) as server:
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            self.assertTrue(lower(group, 68 * MB))
            self.assertTrue(harness.wait_for(lambda: server.memory()["sessions"]["total"] == 1))
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            self.assertEqual(self.placement(server), "resident")
            self.assertEqual(group.kills(), 0)


if __name__ == "__main__":
    harness.main()
