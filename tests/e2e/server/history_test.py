"""--history: results survive a restart, are listed, searched, exported and deleted."""

import contextlib
import csv
import io
import os
import sqlite3
import unittest

import harness


def noise(width, height):
    """A photo that no format makes smaller."""
    rows = b"".join(b"\0" + os.urandom(width * 3) for _ in range(height))
    def chunk(kind, data):
        return (harness.struct.pack(">I", len(data)) + kind + data
                + harness.struct.pack(">I", harness.zlib.crc32(kind + data)))
    header = harness.struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", harness.zlib.compress(rows, 0)) + chunk(b"IEND", b""))


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
            for part in ("", "/photo.jpg"):
                self.assertEqual(server.get("/api/v1/results/" + names[2] + part).status, 404)

    def test_a_table_that_is_not_whole_is_none(self):
        with self.server() as server:
            self.upload(server)
        with contextlib.closing(sqlite3.connect(self.path)) as database, database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(results)")]
            changed = {"id": "printf('%032x', n)", "created": "n", "overlay": "x''", "photo": "x''"}
            copied = ", ".join(changed.get(column, column) for column in columns)
            database.execute(f"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t "
                             f"WHERE n < 20000) INSERT INTO results SELECT {copied} "
                             "FROM t, results")
        with self.server() as server:
            answer = server.get("/api/v1/history.csv")
            self.assertEqual(answer.status, 400, answer.body[:300])
            self.assertIn("20001", answer.json()["error"])
            answer = server.get("/api/v1/history.csv?to=1999-01-01")
            self.assertEqual((answer.status, answer.body.count(b"\r\n")), (200, 20001))

    def test_readers_that_do_not_read_stay_within_the_limit(self):
        with self.server("--memory-limit", "64M", "--sessions", "1", "--result-ttl", "1s",
                         "--max-upload", "8M") as server:
            body, kind = harness.multipart({}, noise(1000, 800))
            answer = server.post("/upload/", body, kind)
            self.assertEqual(answer.status, 302, answer.body)
            name = answer.headers["Location"].split("/")[2]
            self.assertTrue(harness.wait_for(lambda: server.memory()["results_held"] == 0))
            path = f"/api/v1/results/{name}/overlay.png"
            picture = server.get(path).body
            self.assertGreater(len(picture), 1 << 20)
            readers = []
            with harness.Watch(server, "RssAnon") as anonymous:
                for _ in range(3 * (64 << 20) // len(picture)):
                    reader = harness.socket.socket()
                    reader.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_RCVBUF, 4096)
                    reader.connect(("127.0.0.1", server.port))
                    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                                   "Connection: close\r\n\r\n".encode())
                    readers.append(reader)
                self.assertTrue(harness.wait_for(
                    lambda: server.memory().get("ledger", {}).get("results", 0) > len(picture)))
                harness.time.sleep(1)
            self.assertLess(anonymous.peak_kb, 64 * 1024)
            answers = harness.in_parallel(len(readers), lambda i: harness.read_all(readers[i]))
            self.assertEqual({answer[9:12] for answer in answers}, {b"200", b"503"})
            for reader, answer in zip(readers, answers):
                reader.close()
                if answer[9:12] == b"200":
                    self.assertTrue(answer.endswith(picture))
            self.assertEqual(server.get(path).body, picture)

    def test_what_is_deleted_is_on_no_disk(self):
        photo = noise(600, 400)
        with self.server("--result-ttl", "1s") as server:
            body, kind = harness.multipart({"symptom": "a private matter"}, photo)
            name = server.post("/upload/", body, kind).headers["Location"].split("/")[2]
            kept = server.get(f"/api/v1/results/{name}/photo.jpg").body
            piece = kept[len(kept) // 2:][:64]
            self.assertTrue(self.on_disk(piece) and self.on_disk(b"a private matter"))
            self.assertEqual(server.request("DELETE", "/api/v1/results/" + name).status, 204)
            self.assertFalse(self.on_disk(piece))
            self.assertFalse(self.on_disk(b"a private matter"))

    def on_disk(self, piece):
        found = False
        for name in os.listdir(self.folder.name):
            with open(os.path.join(self.folder.name, name), "rb") as file:
                found = found or piece in file.read()
        return found

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
