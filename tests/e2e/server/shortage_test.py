"""A server whose memory is taken: who needs none of it is served, who needs some is told."""

import unittest

import harness

KB = 1024


def upload_head(length):
    return (f"POST /api/v1/explain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            f"Content-Length: {length}\r\n\r\n").encode()


class Shortage(unittest.TestCase):
    def begin_upload(self, server, length):
        """Sends a header and one byte; returns once the server has made room for the rest."""
        before = server.memory()["ledger"]["bodies"]
        client = server.connect()
        client.sendall(upload_head(length) + b"x")
        self.assertTrue(harness.wait_for(
            lambda: server.memory()["ledger"]["bodies"] >= before + length), server.memory())
        return client

    def test_one_large_upload_leaves_health_checks_alone(self):
        with harness.Server("--memory-limit", "48M") as server:
            with self.begin_upload(server, 7 << 20):
                for path in ("/health/", "/v2/health/live", "/memory/", "/"):
                    self.assertEqual(server.get(path).status, 200, path)

    def test_hundreds_of_idle_connections_leave_uploads_alone(self):
        with harness.Server("--memory-limit", "48M") as server:
            idle = [server.connect() for _ in range(300)]
            self.assertTrue(harness.wait_for(lambda: server.memory()["connections"] > 300))
            self.assertEqual(server.get("/health/").status, 200)
            self.assertEqual(server.post("/api/v1/classify?keep=false", harness.PHOTO).status, 200)
            for client in idle:
                client.close()

    def test_a_full_ledger_still_answers(self):
        with harness.Server("--memory-limit", "44M", "--max-upload", "64M") as server:
            memory = server.memory()
            free = (int(memory["limit_mb"]) << 20) - memory["reserved_bytes"]
            with self.begin_upload(server, free - 10 * KB):
                for _ in range(3):
                    self.assertEqual(server.get("/health/").status, 200)
                # When the connections are taken that the base counts, no memory is left for one more.
                busy = [server.connect() for _ in range(7)]
                for client in busy:
                    client.sendall(upload_head(2) + b"x")
                self.assertTrue(harness.wait_for(lambda: self.turned_away(server)))
                busy[0].close()
                self.assertTrue(harness.wait_for(lambda: not self.turned_away(server)))
                for client in busy:
                    client.close()

    def turned_away(self, server):
        answer = server.get("/health/")
        if answer.status == 200:
            return False
        self.assertEqual((answer.status, answer.json()["code"]), (503, "memory_limit"))
        self.assertTrue(answer.headers["Retry-After"])
        return True

    def test_who_waits_makes_room_for_who_asks(self):
        with harness.Server("--memory-limit", "44M", "--max-upload", "64M") as server:
            idle = [server.connect() for _ in range(16)]
            self.assertTrue(harness.wait_for(lambda: server.memory()["connections"] == 17))
            memory = server.memory()
            free = (int(memory["limit_mb"]) << 20) - memory["reserved_bytes"]
            with self.begin_upload(server, free - 40 * KB):
                for _ in range(4):
                    self.assertEqual(server.get("/health/").status, 200)
            for client in idle:
                client.close()

    def test_a_dripping_upload_earns_no_time(self):
        with harness.Server("--memory-limit", "96M", "--body-timeout", "1s") as server:
            with self.begin_upload(server, 20_900_000) as slow:
                self.assertEqual(server.post("/api/v1/classify", b"x" * (2 << 20)).status, 503)
                for _ in range(10):
                    harness.time.sleep(0.3)
                    try:
                        slow.sendall(b"x")
                    except OSError:
                        break
                self.assertTrue(harness.read_all(slow).startswith(b"HTTP/1.1 408"))
            self.assertNotEqual(server.post("/api/v1/classify", b"x" * (2 << 20)).status, 503)


if __name__ == "__main__":
    harness.main()
