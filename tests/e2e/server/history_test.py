"""--history: results survive a restart, are listed, searched, exported and deleted."""

import csv
import io
import os
import unittest

import harness


class History(unittest.TestCase):
    def setUp(self):
        self.folder = harness.tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "history.db")

    def tearDown(self):
        self.folder.cleanup()

    def server(self, *options):
        return harness.Server("--history", self.path, *options)

    def upload(self, server, **note):
        body, kind = harness.multipart(note)
        answer = server.post("/upload/", body, kind)
        self.assertEqual(answer.status, 302, answer.body)
        return answer.headers["Location"].split("/")[2]

    def test_results_survive_a_restart(self):
        with self.server() as server:
            name = self.upload(server, age="42", symptom="=ngứa, đỏ")
            first = server.get(f"/api/v1/results/{name}").json()
        with self.server() as server:
            self.assertEqual(server.get(f"/api/v1/results/{name}").json(), first)
            self.assertEqual(server.get(f"/result/{name}/").status, 200)
            self.assertTrue(server.get(f"/api/v1/results/{name}/photo.jpg").body)
            row = server.get("/api/v1/history").json()["results"][0]
            self.assertEqual((row["id"], row["patient"]["age"]), (name, "42"))
            page = server.get("/history/")
            self.assertEqual(page.status, 200)
            self.assertIn("=ngứa, đỏ", page.body.decode())
            table = list(csv.reader(io.StringIO(server.get("/api/v1/history.csv").body.decode())))
            self.assertEqual(len(table), 2)
            self.assertEqual(dict(zip(*table))["symptom"], "'=ngứa, đỏ")

    def test_search_and_deletion(self):
        with self.server() as server:
            names = [self.upload(server) for _ in range(3)]
            top = server.get("/api/v1/history").json()["results"][0]["class"]
            def total(query):
                return server.get("/api/v1/history?" + query).json()["total"]
            self.assertEqual(total("class=" + top.replace(" ", "%20")), 3)
            self.assertEqual(total("class=nothing"), 0)
            self.assertEqual(total("from=2000-01-01&to=2001-01-01"), 0)
            self.assertEqual(total("from=2000-01-01"), 3)
            self.assertEqual(len(server.get("/api/v1/history?limit=2").json()["results"]), 2)
            self.assertEqual(server.get("/api/v1/history?from=yesterday").status, 400)
            self.assertEqual(server.request("DELETE", "/api/v1/results/" + names[0]).status, 204)
            self.assertEqual(server.get("/api/v1/results/" + names[0]).status, 404)
            answer = server.post(f"/history/{names[1]}/delete", b"",
                                 "application/x-www-form-urlencoded")
            self.assertEqual(answer.status, 303)
            self.assertEqual(total(""), 1)
            self.assertEqual(server.request("DELETE", "/api/v1/history").status, 400)
            gone = server.request("DELETE", "/api/v1/history?older_than_days=0").json()
            self.assertEqual(gone["deleted"], 1)

    def test_without_the_option_nothing_is_written_or_listed(self):
        with harness.Server() as server:
            self.assertEqual(server.get("/api/v1/history").status, 404)
            self.assertEqual(server.get("/history/").status, 404)
        self.assertFalse(os.path.exists(self.path))

    def test_damage_is_told_at_start(self):
        with open(self.path, "wb") as file:
            file.write(b"z" * 8192)
        with self.assertRaises(RuntimeError):
            harness.Server("--history", self.path)


if __name__ == "__main__":
    harness.main()
