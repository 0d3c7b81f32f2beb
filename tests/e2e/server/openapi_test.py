"""The OpenAPI document is true: every route of the source is in it and the other way round, every
operation answers with a status and a body that it promises."""

import base64
import json
import re
import unittest

import harness

NAME = "skin7-b0"


def routes_of_the_source():
    with open(harness.SOURCE + "/src/server/routes.cc", encoding="utf-8") as file:
        text = re.sub(r"\s+", " ", file.read())
    methods = {"kGet": "get", "kPost": "post", "kDelete": "delete"}
    return {(methods[method], pattern)
            for method, pattern in re.findall(r'Route\{(k\w+), "([^"]+)"', text)}


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = harness.tempfile.TemporaryDirectory()
        cls.server = harness.Server("--history", cls.folder.name + "/history.db")
        cls.document = json.loads(cls.server.get("/openapi.json").body)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def test_it_names_every_route_and_no_other(self):
        def shape(path):
            return re.sub(r"\{[^}]*\}", "{}", path)
        documented = {(method, shape(path)) for path, operations in self.document["paths"].items()
                      for method in operations}
        self.assertEqual(documented, {(m, shape(p)) for m, p in routes_of_the_source()})

    def test_every_reference_leads_somewhere_and_every_id_is_its_own(self):
        text = json.dumps(self.document)
        for name in re.findall(r"#/components/schemas/(\w+)", text):
            self.assertIn(name, self.document["components"]["schemas"])
        ids = re.findall(r'"operationId": "([^"]+)"', text)
        self.assertEqual(len(ids), len(set(ids)))

    def resolve(self, schema):
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def check(self, value, schema, place):
        schema = self.resolve(schema)
        kinds = schema.get("type")
        if kinds is None:
            return
        known = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
                 "number": (int, float), "null": type(None)}
        kinds = kinds if isinstance(kinds, list) else [kinds]
        self.assertTrue(any(isinstance(value, known[kind]) and
                            (kind == "boolean" or not isinstance(value, bool)) for kind in kinds),
                        f"{place}: {value!r} is not {kinds}")
        if isinstance(value, dict):
            for name in schema.get("required", []):
                self.assertIn(name, value, place)
            for name, inner in schema.get("properties", {}).items():
                if name in value:
                    self.check(value[name], inner, f"{place}.{name}")
        if isinstance(value, list) and "items" in schema:
            for item in value[:20]:
                self.check(item, schema["items"], place + "[]")
        if "enum" in schema:
            self.assertIn(value, schema["enum"], place)
        if "maximum" in schema and isinstance(value, (int, float)):
            self.assertLessEqual(value, schema["maximum"] + 1e-9, place)

    def kept(self):
        return self.server.post("/api/v1/explain", harness.PHOTO).json()["id"]

    def body_of(self, path, operation):
        content = operation.get("requestBody", {}).get("content", {})
        text = base64.b64encode(harness.PHOTO).decode()
        if path.startswith("/v2/models"):
            return json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                                           "data": [text]}]}).encode(), "application/json"
        if path.startswith("/v1/models"):
            return json.dumps({"instances": [{"b64": text}]}).encode(), "application/json"
        if path == "/predict_with_gradcam":
            return json.dumps({"data": text}).encode(), "application/json"
        if path == "/login":
            return b"token=x", "application/x-www-form-urlencoded"
        if "image/png" in content:
            return harness.PHOTO, "image/png"
        if "multipart/form-data" in content:
            return harness.multipart({})
        return b"", "application/json"

    def walk(self, method, path, operation):
        url = path.replace("{id}", self.kept() if "{id}" in path else "").replace(
            "{model}", NAME).replace("{version}", "1").replace("{path}", "css/base.css").replace("{ticket}", "t-1")
        required = [p for p in operation.get("parameters", []) if p["in"] == "query" and p["required"]]
        if required:
            url += "?" + "&".join(p["name"] + "=100" for p in required)
        body, kind = self.body_of(path, operation) if method == "post" else (None, None)
        if path == "/api/v1/events":
            with self.server.connect() as connection:
                connection.sendall(f"GET {url} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                return harness.Answer(int(connection.recv(4096).split()[1]),
                                      {"Content-Type": "text/event-stream"}, b"")
        return self.server.request(method.upper(), url, body,
                                   {"Content-Type": kind} if kind else {})

    def test_every_operation_answers_as_promised(self):
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                with self.subTest(operation=f"{method} {path}"):
                    answer = self.walk(method, path, operation)
                    promised = operation["responses"]
                    self.assertIn(str(answer.status), promised, answer.body[:300])
                    if path != "/login":
                        self.assertLess(answer.status, 400, answer.body[:300])
                    content = promised[str(answer.status)].get("content", {})
                    kind = (answer.headers["Content-Type"] or "").split(";")[0]
                    if content and "*/*" not in content:
                        self.assertIn(kind, content)
                    if kind == "application/json" and kind in content:
                        self.check(answer.json(), content[kind]["schema"], path)

    def test_every_upload_promises_its_errors(self):
        for path, operations in self.document["paths"].items():
            operation = operations.get("post", {})
            if "image/png" in operation.get("requestBody", {}).get("content", {}):
                for status, body in ((400, b""), (415, b"no picture")):
                    answer = self.server.post(path, body)
                    self.assertEqual(answer.status, status)
                    self.check(answer.json(), {"$ref": "#/components/schemas/Error"}, path)


if __name__ == "__main__":
    harness.main()
