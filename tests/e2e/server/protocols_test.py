"""The Open Inference Protocol and KServe's first one, spoken by hand; with tritonclient where it is
installed; metrics checked line by line, and by promtool where it is installed."""

import base64
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import harness

NAME = "skin7-b0"


class Protocols(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        meta = cls.server.get("/v2/models/" + NAME).json()
        cls.input = meta["inputs"][0]
        cls.elements = 1
        for dimension in cls.input["shape"]:
            cls.elements *= dimension
        cls.values = [((i * 7919) % 1000) / 500 - 1 for i in range(cls.elements)]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def tensor(self, **more):
        return {"name": self.input["name"], "datatype": "FP32", "shape": self.input["shape"], **more}

    def test_the_server_says_what_it_is(self):
        self.assertIn("explain", self.server.get("/v2").json()["extensions"])
        self.assertEqual(self.server.get("/v2/health/live").status, 200)
        self.assertEqual(self.server.get("/v2/health/ready").status, 200)
        self.assertEqual(self.server.get(f"/v2/models/{NAME}/ready").status, 200)
        self.assertEqual(self.server.get(f"/v2/models/{NAME}/versions/1/ready").status, 200)
        self.assertEqual(self.server.get("/v2/models/none/ready").status, 404)
        self.assertEqual(self.server.get(f"/v2/models/{NAME}/versions/7").status, 404)

    def test_json_and_binary_tensors_give_the_same(self):
        as_json = self.server.post_json(f"/v2/models/{NAME}/infer",
                                        {"id": "a", "inputs": [self.tensor(data=self.values)]})
        self.assertEqual(as_json.status, 200, as_json.body[:300])
        output = as_json.json()["outputs"][0]
        self.assertEqual(as_json.json()["id"], "a")
        raw = struct.pack(f"<{self.elements}f", *self.values)
        head = json.dumps({"inputs": [self.tensor(parameters={"binary_data_size": len(raw)})],
                           "outputs": [{"name": output["name"],
                                        "parameters": {"binary_data": True}}]}).encode()
        binary = self.server.post(f"/v2/models/{NAME}/infer", head + raw,
                                  "application/octet-stream",
                                  {"Inference-Header-Content-Length": str(len(head))})
        self.assertEqual(binary.status, 200, binary.body[:300])
        length = int(binary.headers["Inference-Header-Content-Length"])
        values = struct.unpack(f"<{len(output['data'])}f", binary.body[length:])
        for got, expected in zip(values, output["data"]):
            self.assertAlmostEqual(got, expected, places=4)

    def test_a_photo_may_go_in_as_bytes(self):
        native = self.server.post("/api/v1/classify", harness.PHOTO).json()
        expected = {p["class_id"]: p["probability"] for p in native["predictions"]}
        body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                            "data": [base64.b64encode(harness.PHOTO).decode()]}]}
        answer = self.server.post_json(f"/v2/models/{NAME}/infer", body)
        self.assertEqual(answer.status, 200, answer.body[:300])
        outputs = {o["name"]: o for o in answer.json()["outputs"]}
        for class_id, probability in enumerate(outputs["probabilities"]["data"]):
            self.assertAlmostEqual(probability, expected[class_id], places=5)
        self.assertEqual(outputs["top_class"]["data"], [native["predictions"][0]["class"]])

    def test_explain_is_an_extension(self):
        body = {"parameters": {"method": "hirescam", "target": "1"},
                "outputs": [{"name": "heatmap"}, {"name": "overlay_png"}],
                "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                            "data": [base64.b64encode(harness.PHOTO).decode()]}]}
        answer = self.server.post_json(f"/v2/models/{NAME}/explain", body)
        self.assertEqual(answer.status, 200, answer.body[:300])
        outputs = {o["name"]: o for o in answer.json()["outputs"]}
        self.assertEqual(set(outputs), {"heatmap", "overlay_png"})
        shape = outputs["heatmap"]["shape"]
        self.assertEqual(len(outputs["heatmap"]["data"]), shape[1] * shape[2])
        self.assertEqual(answer.json()["parameters"]["class_id"], 1)
        self.assertTrue(base64.b64decode(outputs["overlay_png"]["data"][0]).startswith(b"\x89PNG"))

    def test_broken_requests_are_400(self):
        path = f"/v2/models/{NAME}/infer"
        for body in ({}, {"inputs": []}, {"inputs": [self.tensor()]},
                     {"inputs": [self.tensor(data=[1, 2, 3])]},
                     {"inputs": [{**self.tensor(data=[1.0]), "shape": [1]}]},
                     {"inputs": [{**self.tensor(data=self.values), "name": "other"}]},
                     {"inputs": [{**self.tensor(data=[1]), "datatype": "INT8"}]}):
            self.assertEqual(self.server.post_json(path, body).status, 400, str(body)[:100])
        self.assertEqual(self.server.post_json("/v2/models/none/infer",
                                               {"inputs": [self.tensor(data=self.values)]}).status, 404)

    def test_outputs_that_are_not_there_are_400(self):
        photo = {"name": "image", "datatype": "BYTES", "shape": [1],
                 "data": [base64.b64encode(harness.PHOTO).decode()]}
        for inputs, outputs in (([self.tensor(data=self.values)], ["nothing"]), ([photo], ["nothing"]),
                                ([photo], ["probabilities", "heatmap"])):
            answer = self.server.post_json(f"/v2/models/{NAME}/infer", {
                "inputs": inputs, "outputs": [{"name": name} for name in outputs]})
            self.assertEqual(answer.status, 400, answer.body[:300])
            self.assertIn("output", answer.json()["error"])

    def test_a_photo_is_answered_by_the_version_that_is_listed(self):
        versions = self.server.get(f"/v2/models/{NAME}").json()["versions"]
        for what in ("infer", "explain"):
            answer = self.server.post_json(f"/v2/models/{NAME}/{what}", {
                "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                            "data": [base64.b64encode(harness.PHOTO).decode()]}]}).json()
            self.assertEqual((answer["model_name"], answer["model_version"]), (NAME, versions[0]))

    def test_the_index_lists_those_that_are_ready_when_asked_to(self):
        post = self.server.post_json
        post(f"/v2/repository/models/{NAME}/unload", {})
        self.assertEqual(post("/v2/repository/index", {"ready": True}).json(), [])
        self.assertEqual(len(post("/v2/repository/index", {"ready": False}).json()), 1)
        self.assertEqual(post("/v2/repository/index", {"ready": 1}).status, 400)
        self.assertEqual(len(self.server.post("/v2/repository/index").json()), 1)
        post(f"/v2/repository/models/{NAME}/load", {})
        self.assertEqual(len(post("/v2/repository/index", {"ready": True}).json()), 1)

    def test_the_repository_loads_and_unloads(self):
        post = self.server.post_json
        self.assertEqual(post(f"/v2/repository/models/{NAME}/load", {}).status, 200)
        index = post("/v2/repository/index", {}).json()
        self.assertEqual([(m["name"], m["state"]) for m in index], [(NAME, "READY")])
        self.assertEqual(post(f"/v2/repository/models/{NAME}/unload", {}).status, 200)
        self.assertEqual(post("/v2/repository/index", {}).json()[0]["state"], "UNAVAILABLE")
        self.assertEqual(self.server.get(f"/v2/models/{NAME}/ready").status, 503)
        self.assertIs(self.server.memory()["model_loaded"], False)
        self.assertEqual(post(f"/v2/repository/models/{NAME}/load", {}).status, 200)
        self.assertEqual(self.server.get(f"/v2/models/{NAME}/ready").status, 200)
        self.assertEqual(post("/v2/repository/models/none/load", {}).status, 404)

    def test_kserve_predicts_and_explains(self):
        text = base64.b64encode(harness.PHOTO).decode()
        self.assertEqual(self.server.get("/v1/models").json()["models"], [NAME])
        self.assertIs(self.server.get(f"/v1/models/{NAME}").json()["ready"], True)
        answer = self.server.post_json(f"/v1/models/{NAME}:predict",
                                       {"instances": [{"image": {"b64": text}}, {"b64": text}]})
        self.assertEqual(answer.status, 200, answer.body[:300])
        first, second = answer.json()["predictions"]
        self.assertEqual(first["predictions"], second["predictions"])
        answer = self.server.post_json(f"/v1/models/{NAME}:explain", {"instances": [{"b64": text}]})
        self.assertTrue(answer.json()["explanations"][0]["explanations"][0]["map"])
        self.assertEqual(answer.json()["predictions"][0]["predictions"], first["predictions"])
        for body in ({}, {"instances": []}, {"instances": [1]}, {"instances": [{"b64": 1}]},
                     {"instances": [[1, 2, 3]]}, {"instances": [[1, "x"]]},
                     {"instances": [{"b64": text}] * 17}):
            answer = self.server.post_json(f"/v1/models/{NAME}:predict", body)
            self.assertEqual(answer.status, 400, (str(body)[:80], answer.body[:300]))

    def test_kserve_takes_tensors(self):
        answer = self.server.post_json(f"/v1/models/{NAME}:predict", {"instances": [self.values]})
        self.assertEqual(answer.status, 200, answer.body[:300])
        self.assertEqual(len(answer.json()["predictions"][0]), 7)

    def test_tritonclient_is_served(self):
        # Where ./test.sh has put what comes from PyPI.
        sys.path.append(os.path.join(harness.SOURCE, "build", "python", "lib",
                                     "python%d.%d" % sys.version_info[:2], "site-packages"))
        try:
            import numpy
            import tritonclient.http as triton
        except ImportError:
            self.skipTest("tritonclient[http] is not installed")
        client = triton.InferenceServerClient(f"127.0.0.1:{self.server.port}")
        self.assertTrue(client.is_server_live() and client.is_server_ready())
        self.assertTrue(client.is_model_ready(NAME))
        meta = client.get_model_metadata(NAME)
        self.assertEqual(client.get_server_metadata()["name"], "dermlens")
        results = []
        for binary in (False, True):
            tensor = triton.InferInput(meta["inputs"][0]["name"], meta["inputs"][0]["shape"], "FP32")
            values = numpy.array(self.values, dtype=numpy.float32).reshape(meta["inputs"][0]["shape"])
            tensor.set_data_from_numpy(values, binary_data=binary)
            wanted = triton.InferRequestedOutput(meta["outputs"][0]["name"], binary_data=binary)
            answer = client.infer(NAME, [tensor], outputs=[wanted])
            results.append(answer.as_numpy(meta["outputs"][0]["name"]))
        self.assertLess(abs(results[0] - results[1]).max(), 1e-4)
        photo = triton.InferInput("image", [1], "BYTES")
        photo.set_data_from_numpy(numpy.array([harness.PHOTO], dtype=object), binary_data=True)
        answer = client.infer(NAME, [photo])
        self.assertAlmostEqual(float(answer.as_numpy("probabilities").sum()), 1, places=4)
        client.load_model(NAME)
        self.assertTrue(client.get_model_repository_index())
        client.close()

    def test_the_process_started_once(self):
        starts = set()
        for _ in range(60):
            text = self.server.get("/metrics").body.decode()
            starts.add(re.search(r"^process_start_time_seconds (\S+)$", text, re.M).group(1))
            harness.time.sleep(0.02)
        self.assertEqual(len(starts), 1, starts)

    def test_metrics_are_prometheus(self):
        self.server.post("/api/v1/explain", harness.PHOTO)
        answer = self.server.get("/metrics")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        text = answer.body.decode()
        families = set()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name = line.split()[2]
                self.assertNotIn(name, families, "a family may appear once")
                families.add(name)
            elif not line.startswith("#"):
                match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(\{[^}]*(\}[^}]*)*\})? \S+", line)
                self.assertTrue(match, line)
                base = re.sub(r"_(bucket|sum|count)$", "", match.group(1))
                self.assertTrue(base in families or match.group(1) in families, line)
        for name in ("process_resident_memory_bytes", "process_virtual_memory_bytes",
                     "process_open_fds", "process_start_time_seconds",
                     "dermlens_memory_limit_bytes", "dermlens_memory_reserved_bytes",
                     "dermlens_memory_peak_bytes", "dermlens_memory_refused_total",
                     "dermlens_requests_total", "dermlens_request_duration_seconds",
                     "dermlens_queue_duration_seconds", "dermlens_inference_duration_seconds",
                     "dermlens_explain_duration_seconds", "dermlens_queue_depth",
                     "dermlens_sessions", "dermlens_model_loaded",
                     "dermlens_model_load_duration_seconds", "dermlens_image_rejected_total",
                     "dermlens_heatmap_degenerate_total", "dermlens_results_held"):
            self.assertIn(name, families)
        if promtool := shutil.which("promtool"):
            with tempfile.TemporaryFile() as file:
                file.write(answer.body)
                file.seek(0)
                check = subprocess.run([promtool, "check", "metrics"], stdin=file,
                                       capture_output=True, check=False)
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)


if __name__ == "__main__":
    harness.main()
