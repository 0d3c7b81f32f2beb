"""Which model answers to which name, and what happens to the old one when a load goes wrong."""

import os
import shutil
import unittest

import harness

CARD = "skin7-b0"
SMALL = os.path.join(harness.SOURCE, "tests/golden/fixtures/mbconv/model.onnx")


class Folder(unittest.TestCase):
    def setUp(self):
        folder = harness.tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def put(self, name, source=harness.MODEL):
        """A whole file at once, as a careful operator replaces one."""
        path = os.path.join(self.folder, name + ".onnx")
        shutil.copy(source, path + ".new")
        os.replace(path + ".new", path)

    def server(self, *options):
        return harness.Server("--model-dir", self.folder, "--sessions", "1", *options, model=None)

    def load(self, server, name, what="load"):
        return server.post_json(f"/v2/repository/models/{name}/{what}", {})


class Names(Folder):
    """A model is called by its file's name; by its card's only where that cannot be mistaken."""

    def served_as(self, server, name):
        answer = server.get(f"/v2/models/{name}")
        return answer.json()["name"] if answer.status == 200 else answer.status

    def test_a_files_name_goes_before_a_cards(self):
        self.put("aaa-int8")
        self.put(CARD)
        with self.server() as server:
            self.assertEqual(self.load(server, "aaa-int8").status, 200)
            self.assertEqual(self.served_as(server, CARD), CARD)
            self.assertEqual(self.served_as(server, "aaa-int8"), "aaa-int8")

    def test_a_cards_name_serves_where_one_model_has_it(self):
        self.put("aaa")
        self.put("bbb")
        with self.server() as server:
            self.assertEqual(self.load(server, "aaa").status, 200)
            self.assertEqual(self.served_as(server, CARD), "aaa")
            self.assertEqual(self.load(server, "bbb").status, 200)
            self.assertEqual(self.served_as(server, CARD), 404)


class Swaps(Folder):
    def limit_for_one(self):
        """A limit under which the model fits once, and not twice."""
        with self.server("--weights", "resident") as server:
            plan = server.get("/api/v1/models/model/plan").json()
        return str(plan["base_bytes"] + plan["planned_bytes"] * 3 // 2)

    def test_a_model_is_replaced_where_both_do_not_fit(self):
        self.put("model")
        limit = self.limit_for_one()
        with self.server("--weights", "resident", "--memory-limit", limit) as server:
            self.assertEqual(self.load(server, "model").status, 200)
            before = server.get("/api/v1/models/model").json()["version"]
            self.put("model")
            answer = self.load(server, "model")
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(server.get("/api/v1/models/model").json()["version"], before)
            self.assertEqual(server.post("/api/v1/classify", harness.PHOTO).status, 200)

    def test_one_that_can_never_fit_leaves_the_old_one_alone(self):
        self.put("model", SMALL)
        with self.server("--weights", "resident") as server:
            plan = server.get("/api/v1/models/model/plan").json()
        limit = str(plan["base_bytes"] + plan["planned_bytes"] + (6 << 20))
        with self.server("--weights", "resident", "--memory-limit", limit) as server:
            self.assertEqual(server.post("/api/v1/classify", harness.PHOTO).status, 200)
            self.put("model")
            self.assertEqual(self.load(server, "model").status, 507)
            self.assertTrue(server.memory()["model_loaded"])
            self.assertEqual(server.post("/api/v1/classify", harness.PHOTO).status, 200)


if __name__ == "__main__":
    harness.main()
