"""The queue before the sessions: bounded, with deadlines, and nothing computed for nobody."""

import threading
import time
import unittest

import harness


def computed(server):
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("dermlens_inference_duration_seconds_count"):
            return int(float(line.split()[1]))
    return 0


class Queue(unittest.TestCase):
    def test_concurrent_first_requests_share_one_load(self):
        with harness.Server("--sessions", "2") as server:
            answers = harness.in_parallel(8, lambda i: server.post("/api/v1/explain", harness.PHOTO))
            self.assertEqual([a.status for a in answers], [200] * 8)
            first = answers[0].json()["predictions"]
            for answer in answers:
                self.assertEqual(answer.json()["predictions"], first)
            metrics = server.get("/metrics").body.decode()
            self.assertIn("dermlens_model_load_duration_seconds_count 1\n", metrics)

    def test_a_full_queue_is_503_with_retry_after(self):
        with harness.Server("--sessions", "1", "--queue", "2", "--preload") as server:
            photo = harness.png(1500, 1200)
            answers = harness.in_parallel(16, lambda i: server.post("/api/v1/explain", photo))
            statuses = sorted(a.status for a in answers)
            self.assertLessEqual(set(statuses), {200, 503})
            self.assertIn(200, statuses)
            self.assertIn(503, statuses)
            for answer in answers:
                if answer.status == 503:
                    self.assertGreater(int(answer.headers["Retry-After"]), 0)
                    self.assertIn(answer.json()["code"], ("busy", "memory_limit"))
            self.assertEqual(server.post("/api/v1/explain", photo).status, 200)

    def test_a_deadline_that_passes_in_the_queue_is_504_and_not_computed(self):
        with harness.Server("--sessions", "1", "--preload") as server:
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            before = computed(server)
            photo = harness.png(1500, 1200)
            answers = harness.in_parallel(
                12, lambda i: server.post("/api/v1/explain?deadline_ms=150", photo))
            statuses = [a.status for a in answers]
            self.assertLessEqual(set(statuses), {200, 504})
            self.assertIn(504, statuses)
            self.assertEqual(computed(server) - before, statuses.count(200))

    def test_a_client_that_has_gone_is_not_computed(self):
        with harness.Server("--sessions", "1", "--preload") as server:
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            before = computed(server)
            photo = harness.png(4000, 3000)
            head = (b"POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                    b"Content-Length: " + str(len(photo)).encode() + b"\r\n\r\n")
            clients = [server.connect() for _ in range(10)]
            for client in clients:
                client.sendall(head + photo)
            time.sleep(0.1)
            for client in clients:
                client.close()
            deadline = time.monotonic() + 20
            while server.memory()["sessions"]["busy"] or server.memory()["queue"]["depth"]:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            self.assertLess(computed(server) - before, 8)
            self.assertEqual(server.memory()["queue"]["depth"], 0)

    def test_each_place_counts_those_ahead_and_no_others(self):
        with harness.Server("--sessions", "1", "--preload") as server:
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 200)
            photos = [harness.png(8000, 6000)] + [harness.png(3000, 2000)] * 3

            def state(name):
                said = server.get("/api/v1/queue/" + name).json()
                return said["state"], said["place"]

            def post(name, photo):
                path = "/api/v1/explain?output=map&keep=0&ticket=" + name
                thread = threading.Thread(target=server.post, args=(path, photo))
                thread.start()
                self.assertTrue(harness.wait_for(lambda: state(name)[0] != "absent"))
                return thread

            names = [f"client_{i}-{'x' * 40}" for i in range(4)]
            threads = [post(name, photo) for name, photo in zip(names, photos)]
            first = [state(name) for name in names]
            self.assertEqual(first, [("computing", 0), ("waiting", 1), ("waiting", 2),
                                     ("waiting", 3)])
            self.assertEqual(state("nobody"), ("absent", 0))
            last = [first[3]]
            while last[-1][0] != "absent":
                now = state(names[3])
                if now != last[-1]:
                    last.append(now)
            # Between two looks a place may have come and gone, but none comes back.
            order = [("waiting", 3), ("waiting", 2), ("waiting", 1), ("computing", 0),
                     ("absent", 0)]
            self.assertEqual(last, [one for one in order if one in last])
            self.assertGreater(len(last), 2)
            for thread in threads:
                thread.join()

    def test_a_ticket_is_a_short_plain_name(self):
        with harness.Server("--sessions", "1") as server:
            for bad in ("", "a" * 65, "a%20b", "a%2Fb", "%00", "%C3%A9"):
                answer = server.post("/api/v1/classify?ticket=" + bad, harness.PHOTO)
                self.assertEqual((answer.status, answer.json()["code"]), (400, "usage"), bad)
            self.assertEqual(server.post("/api/v1/classify?ticket=a_-9", harness.PHOTO).status, 200)

    def test_short_memory_is_503_and_never_the_end(self):
        with harness.Server("--sessions", "2", "--memory-limit", "64M") as server:
            photo = harness.png(2500, 2000)
            for _ in range(2):
                answers = harness.in_parallel(12, lambda i: server.post("/api/v1/explain", photo))
                for answer in answers:
                    self.assertIn(answer.status, (200, 413, 503), answer.body[:300])
            small = server.post("/api/v1/explain", harness.PHOTO)
            self.assertEqual(small.status, 200, small.body[:300])
            self.assertLess(server.status("VmHWM"), 64 * 1024)

    def test_a_limit_too_small_for_one_request_is_told_at_start(self):
        with self.assertRaises(RuntimeError) as refused:
            harness.Server("--sessions", "1", "--memory-limit", "24M")
        self.assertRegex(str(refused.exception), r"below the smallest plan \([\d.]+ MB needed")


if __name__ == "__main__":
    harness.main()
