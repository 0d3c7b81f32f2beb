"""The native API: every way in, every parameter, results by id, what is said of a model."""

import base64
import json
import unittest
from urllib.parse import quote

import harness


class Native(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server("--max-upload", "1M", "--max-pixels", "2M")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def explain(self, query="", photo=harness.PHOTO):
        answer = self.server.post("/api/v1/explain" + query, photo)
        self.assertEqual(answer.status, 200, answer.body[:500])
        return answer.json()

    def test_every_way_in_gives_the_same_numbers(self):
        text = base64.b64encode(harness.PHOTO).decode()
        form, kind = harness.multipart({})
        answers = [
            self.server.post("/api/v1/explain", harness.PHOTO),
            self.server.post("/api/v1/explain", form, kind),
            self.server.post_json("/api/v1/explain", {"image": {"b64": text}}),
            self.server.post_json("/api/v1/explain", {"image": text}),
        ]
        for answer in answers:
            self.assertEqual(answer.status, 200, answer.body[:500])
        first = answers[0].json()
        for answer in answers[1:]:
            self.assertEqual(answer.json()["predictions"], first["predictions"])
            self.assertEqual(answer.json()["explanations"][0]["map"],
                             first["explanations"][0]["map"])

    def test_an_answer_is_whole(self):
        body = self.explain()
        self.assertRegex(body["id"], r"^[0-9a-f]{32}$")
        self.assertAlmostEqual(sum(p["probability"] for p in body["predictions"]), 1, places=5)
        explanation = body["explanations"][0]
        rows, columns = explanation["grid"]
        self.assertEqual(len(explanation["map"]), rows * columns)
        self.assertAlmostEqual(max(explanation["map"]), 1, places=5)
        self.assertIs(explanation["degenerate"], False)
        self.assertTrue(base64.b64decode(explanation["overlay"]["b64"]).startswith(b"\x89PNG"))
        self.assertEqual(set(body["timing_ms"]),
                         {"queue", "decode", "forward", "backward", "render"})
        self.assertGreater(body["memory"]["planned_bytes"], 0)
        self.assertGreater(body["memory"]["peak_bytes"], 0)
        self.assertTrue(body["disclaimer"])

    def test_classify_has_no_heatmap(self):
        body = self.server.post("/api/v1/classify?top_k=2", harness.PHOTO).json()
        self.assertEqual(len(body["predictions"]), 2)
        self.assertEqual(body["explanations"], [])

    def test_parameters_do_what_they_say(self):
        body = self.explain("?target=4&method=hirescam&score=probability&output=map")
        explanation = body["explanations"][0]
        self.assertEqual(explanation["class_id"], 4)
        self.assertEqual(explanation["method"], "hirescam")
        self.assertEqual(explanation["score"], "probability")
        self.assertNotIn("overlay", explanation)
        named = self.explain("?target=Heathy&output=map")["explanations"][0]
        self.assertEqual(named["class_id"], 2)

    def test_every_method_gives_a_map(self):
        for method in ("gradcam", "gradcam%2B%2B", "hirescam", "xgradcam", "layercam", "eigencam"):
            body = self.explain(f"?method={method}&output=map")
            self.assertTrue(body["explanations"][0]["map"], method)

    def test_wrong_parameters_are_400(self):
        for query in ("method=magic", "target=99", "target=nothing", "layer=nowhere", "alpha=2",
                      "alpha=x", "score=points", "colormap=plaid", "top_k=x", "output=all"):
            answer = self.server.post("/api/v1/explain?" + query, harness.PHOTO)
            self.assertEqual(answer.status, 400, (query, answer.body))

    def test_results_live_under_their_id_until_deleted(self):
        body = self.explain()
        path = "/api/v1/results/" + body["id"]
        kept = self.server.get(path).json()
        self.assertEqual(kept["predictions"], body["predictions"])
        self.assertNotIn("overlay", kept["explanations"][0])
        overlay = self.server.get(path + "/overlay.png")
        self.assertEqual(base64.b64encode(overlay.body).decode(),
                         body["explanations"][0]["overlay"]["b64"])
        photo = self.server.get(path + "/photo.jpg")
        self.assertEqual(photo.headers["Content-Type"], "image/jpeg")
        self.assertTrue(photo.body.startswith(b"\xff\xd8"))
        self.assertNotIn(b"Exif", photo.body)
        self.assertEqual(self.server.request("DELETE", path).status, 204)
        self.assertEqual(self.server.request("DELETE", path).status, 404)
        for gone in (path, path + "/overlay.png", path + "/photo.jpg"):
            self.assertEqual(self.server.get(gone).status, 404)

    def test_keep_false_keeps_nothing(self):
        body = self.explain("?keep=false")
        self.assertEqual(self.server.get("/api/v1/results/" + body["id"]).status, 404)

    def test_ids_are_not_paths(self):
        for name in ("..", "a", "A" * 32, "0" * 31, "%2e%2e%2f"):
            self.assertEqual(self.server.get("/api/v1/results/" + name).status, 404)

    def test_photos_over_the_bounds_are_413_from_their_header(self):
        self.assertEqual(self.server.post("/api/v1/explain", b"x" * (3 << 20)).status, 413)
        self.assertEqual(self.server.post("/api/v1/explain", b"x" * (1100 << 10)).status, 413)
        large = bytearray(harness.png(8, 8))
        large[16:24] = (30000).to_bytes(4, "big") * 2
        large[29:33] = harness.zlib.crc32(bytes(large[12:29])).to_bytes(4, "big")
        answer = self.server.post("/api/v1/explain", bytes(large))
        self.assertEqual(answer.status, 413, answer.body)
        self.assertEqual(answer.json()["code"], "too_large")

    def test_what_is_no_picture_is_415_and_names_what_is(self):
        answer = self.server.post("/api/v1/explain", b"GIF89a" + b"\0" * 100)
        self.assertEqual(answer.status, 415)
        self.assertIn("JPEG", answer.json()["error"])
        self.assertEqual(self.server.post("/api/v1/explain", b"x", "text/plain").status, 415)

    def test_truncated_pictures_are_400_or_answered(self):
        for cut in (9, 40, len(harness.PHOTO) // 2, len(harness.PHOTO) - 4):
            answer = self.server.post("/api/v1/explain", harness.PHOTO[:cut])
            self.assertIn(answer.status, (200, 400, 415), answer.body)

    def test_models_are_described(self):
        models = self.server.get("/api/v1/models").json()["models"]
        self.assertEqual([m["default"] for m in models], [True])
        name = models[0]["name"]
        card = self.server.get("/api/v1/models/" + name).json()
        self.assertEqual(len(card["classes"]), 7)
        layers = self.server.get(f"/api/v1/models/{name}/layers").json()["layers"]
        self.assertEqual(sum(layer["auto"] for layer in layers), 1)
        plan = self.server.get(f"/api/v1/models/{name}/plan").json()
        self.assertGreater(plan["planned_bytes"], 0)
        self.assertEqual(self.server.get("/api/v1/models/none").status, 404)

    def test_a_named_layer_moves_the_map(self):
        name = self.server.get("/api/v1/models").json()["models"][0]["name"]
        layers = self.server.get(f"/api/v1/models/{name}/layers").json()["layers"]
        other = [layer for layer in layers if not layer["auto"] and layer["shape"][2] == 19]
        if not other:
            self.skipTest("no layer with a 19x19 grid")
        query = "?output=map&layer=" + quote(other[-1]["name"], "")
        self.assertEqual(self.explain(query)["explanations"][0]["grid"], [19, 19])

    def test_events_tell_of_memory(self):
        with self.server.connect() as connection:
            connection.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            text = b""
            while text.count(b"event: memory") < 2:
                part = connection.recv(65536)
                self.assertTrue(part)
                text += part
        self.assertIn(b"Content-Type: text/event-stream", text)
        event = json.loads(text.split(b"data: ")[1].split(b"\n")[0])
        self.assertIn("requests_per_second", event)
        self.assertIn("ledger", event)


if __name__ == "__main__":
    harness.main()
