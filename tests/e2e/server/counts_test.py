"""What is counted and logged is what happened: answers that were cut, streams, refusals, tensors."""

import base64
import json
import re
import time
import unittest
import urllib.parse

import harness

NAME = "skin7-b0"
INSTANCES = 16


def sample(text, name):
    """The value of a metric, its labels included in the name; 0 where there is none."""
    match = re.search(r"^" + re.escape(name) + r" (\S+)$", text, re.M)
    return float(match.group(1)) if match else 0


def requests(server, route, code):
    return sample(server.get("/metrics").body.decode(),
                  f'dermlens_requests_total{{route="{route}",code="{code}"}}')


class Counts(unittest.TestCase):
    def large_answer(self, server):
        """A request whose answer no socket's buffers hold, and the answer's length."""
        layers = server.get(f"/api/v1/models/{NAME}/layers").json()["layers"]
        layer = max(layers, key=lambda one: one["shape"][2] * one["shape"][3])["name"]
        body = json.dumps({"instances": [base64.b64encode(harness.PHOTO).decode()] * INSTANCES})
        path = f"/v1/models/{NAME}:explain?method=layercam&layer=" + urllib.parse.quote(layer)
        answer = server.post(path, body.encode(), "application/json")
        self.assertEqual(answer.status, 200, answer.body[:300])
        self.assertGreater(len(answer.body), 4 << 20)
        return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()

    def slow_reader(self, server, request):
        reader = harness.socket.socket()
        reader.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_RCVBUF, 16384)
        reader.settimeout(60)
        reader.connect(("127.0.0.1", server.port))
        reader.sendall(request)
        return reader

    def test_who_reads_slowly_gets_all_and_who_does_not_read_is_let_go(self):
        route = "/v1/models/{}:explain"
        with harness.Server("--write-timeout", "1s", "--log-format", "json") as server:
            request = self.large_answer(server)
            with self.slow_reader(server, request) as reader:
                data = reader.recv(16384)
                begin = time.monotonic()
                while part := reader.recv(16384):
                    data += part
                    time.sleep(0.01)
                self.assertGreater(time.monotonic() - begin, 1)
            head, body = data.split(b"\r\n\r\n", 1)
            length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
            self.assertEqual(len(body), length)
            self.assertEqual(requests(server, route, 200), 2)
            with self.slow_reader(server, request):
                self.assertTrue(harness.wait_for(lambda: requests(server, route, 499) == 1))
            self.assertEqual(requests(server, route, 200), 2)
            lines = [json.loads(line) for line in server.log().splitlines()]
            cut = [line for line in lines if line.get("status") == 499]
            self.assertEqual(len(cut), 1)
            self.assertLess(cut[0]["bytes"], length)

    def test_event_streams_are_counted_when_they_begin(self):
        with harness.Server() as server:
            with server.connect() as client:
                client.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertTrue(client.recv(12).endswith(b"200"))
                self.assertEqual(requests(server, "/api/v1/events", 200), 1)

    def test_refusals_of_the_uploads_share_are_refusals(self):
        head = (b"POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                b"Content-Length: 12000000\r\n\r\nx")
        with harness.Server("--memory-limit", "128M") as server:
            self.assertEqual(server.memory()["state"], "ok")
            with server.connect() as first, server.connect() as second:
                first.sendall(head)
                self.assertTrue(harness.wait_for(
                    lambda: server.memory()["ledger"]["bodies"] >= 12_000_000))
                second.sendall(head)
                self.assertTrue(second.recv(12).endswith(b"503"))
                self.assertEqual(server.memory()["state"], "refusing")
                self.assertEqual(sample(server.get("/metrics").body.decode(),
                                        "dermlens_memory_refused_total"), 1)

    def test_tensors_are_inferences_in_both_protocols(self):
        with harness.Server() as server:
            shape = server.get("/v2/models/" + NAME).json()["inputs"][0]["shape"]
            values = [0.5] * (shape[1] * shape[2] * shape[3])
            name = "dermlens_inference_duration_seconds_count"
            answer = server.post_json(f"/v1/models/{NAME}:predict", {"instances": [values]})
            self.assertEqual(answer.status, 200, answer.body[:300])
            self.assertEqual(sample(server.get("/metrics").body.decode(), name), 1)


if __name__ == "__main__":
    harness.main()
