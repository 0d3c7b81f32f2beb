"""Laws of the HTTP surface that need no model: pages, files, methods, headers."""

import gzip
import json
import unittest

import harness


class Routes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_health_is_ok(self):
        answer = self.server.get("/health/")
        self.assertEqual((answer.status, answer.body), (200, b"ok"))
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))

    def test_memory_has_the_seeds_keys_and_ours(self):
        memory = self.server.memory()
        self.assertEqual(memory["status"], "ok")
        self.assertLessEqual({"rss_mb", "vms_mb", "percent", "peak_rss_mb", "anon_mb", "file_mb"},
                             set(memory["memory"]))
        self.assertIs(memory["model_loaded"], False)
        self.assertIs(memory["gradcam_enabled"], True)
        for key in ("limit_mb", "limit_source", "state", "weights", "ledger", "sessions", "queue",
                    "plan", "uptime_s", "version"):
            self.assertIn(key, memory)
        self.assertEqual(set(memory["ledger"]), {"base", "code", "weights", "arena", "scratch",
                                                 "bodies", "decode", "encode", "results"})

    def test_the_plan_is_there_before_the_model_and_the_model_keeps_it(self):
        with harness.Server("--weights", "streamed", "--sessions", "2") as server:
            before = server.memory()
            self.assertEqual(server.post("/api/v1/explain", harness.png()).status, 200)
            after = server.memory()
        self.assertIs(before["model_loaded"], False)
        self.assertIs(after["model_loaded"], True)
        # The kernels' code is measured, at start and again at load.
        measured = {"code_bytes", "planned_bytes", "shared_bytes"}
        for key in set(after["plan"]) - measured:
            self.assertEqual(before["plan"][key], after["plan"][key], key)
        self.assertEqual((before["plan"]["placement"], before["plan"]["sessions"]), ("streamed", 2))
        self.assertGreater(before["plan"]["predicted_peak_bytes"], before["plan"]["planned_bytes"])

    def test_every_answer_carries_the_security_headers(self):
        for path in ("/", "/health/", "/nowhere", "/memory/"):
            headers = self.server.get(path).headers
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertTrue(headers["Referrer-Policy"])
            self.assertIsNone(headers["Access-Control-Allow-Origin"])

    def test_head_is_get_without_a_body(self):
        get, head = self.server.get("/"), self.server.request("HEAD", "/")
        self.assertEqual(head.status, 200)
        self.assertEqual(head.body, b"")
        self.assertEqual(head.headers["Content-Length"], get.headers["Content-Length"])

    def test_unknown_addresses_are_404_as_json(self):
        answer = self.server.get("/nowhere")
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.json()["code"], "not_found")

    def test_browsers_get_errors_as_pages(self):
        answer = self.server.get("/result/" + "0" * 32 + "/",
                                 {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        self.assertEqual(answer.status, 404)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/html"))

    def test_wrong_methods_are_405_with_allow(self):
        answer = self.server.request("PUT", "/health/", b"x")
        self.assertEqual(answer.status, 405)
        self.assertEqual(answer.headers["Allow"], "GET, HEAD")
        self.assertEqual(self.server.get("/upload/").status, 405)
        self.assertEqual(self.server.get("/upload/").headers["Allow"], "POST")

    def test_options_names_the_methods(self):
        answer = self.server.request("OPTIONS", "/health/")
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["Allow"], "GET, HEAD, OPTIONS")

    def test_files_come_compressed_and_are_not_sent_twice(self):
        with open(harness.SOURCE + "/web/files.txt", encoding="utf-8") as listed:
            paths = [line.split("#")[0].strip() for line in listed]
        styles = next(path for path in paths if path.endswith(".css"))
        plain = self.server.get("/assets/" + styles)
        packed = self.server.get("/assets/" + styles, {"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        again = self.server.get("/assets/" + styles, {"If-None-Match": plain.headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_who_refuses_gzip_gets_none(self):
        answer = self.server.get("/assets/js/main.js", {"Accept-Encoding": "gzip;q=0, identity"})
        self.assertIsNone(answer.headers["Content-Encoding"])

    def test_a_target_may_be_a_whole_url(self):
        for target, status in (("http://localhost/health/", b"200"), ("http://localhost", b"200"),
                               ("http://localhost/nowhere", b"404"), ("ftp://localhost/", b"400")):
            answer = self.server.raw(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
                                     "Connection: close\r\n\r\n".encode())
            self.assertEqual(answer[9:12], status, target)

    def test_templates_and_other_files_are_not_handed_out(self):
        for path in ("/assets/templates/page.html", "/assets/../src/server/app.cc",
                     "/assets/%2e%2e/CMakeLists.txt", "/assets//etc/passwd"):
            self.assertEqual(self.server.get(path).status, 404, path)

    def test_pages_speak_the_readers_language(self):
        for headers, language in (({"Accept-Language": "en-GB,en"}, "en"),
                                  ({"Accept-Language": "vi-VN"}, "vi"),
                                  ({"Accept-Language": "fr"}, "vi"),
                                  ({"Cookie": "lang=en", "Accept-Language": "vi"}, "en")):
            page = self.server.get("/", headers).body.decode()
            self.assertIn(f'lang="{language}"', page)
        self.assertIn("lang=en", self.server.get("/?lang=en").headers["Set-Cookie"])

    def test_nothing_inline_in_any_page(self):
        for path in ("/", "/system/", "/login", "/nowhere"):
            page = self.server.get(path, {"Accept": "text/html"}).body.decode().lower()
            self.assertNotIn(" style=", page)
            self.assertNotIn("<style", page)
            self.assertNotIn(" onclick=", page)
            self.assertNotIn("http://", page.replace("http://www.w3.org", ""))

    def test_keep_alive_serves_many(self):
        connection = harness.http.client.HTTPConnection("127.0.0.1", self.server.port)
        for _ in range(20):
            connection.request("GET", "/health/")
            self.assertEqual(connection.getresponse().read(), b"ok")
        connection.close()

    def test_openapi_is_json(self):
        self.assertTrue(json.loads(self.server.get("/openapi.json").body)["openapi"])


if __name__ == "__main__":
    harness.main()
