"""Tokens, the login and its cookie, and foreign pages."""

import os
import unittest

import harness

TOKEN = "correct-horse-battery-staple"


class Access(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = harness.tempfile.TemporaryDirectory()
        path = os.path.join(cls.folder.name, "tokens")
        with open(path, "w", encoding="ascii") as file:
            file.write(TOKEN + "\n")
        cls.server = harness.Server("--api-token-file", path)
        cls.bearer = {"Authorization": "Bearer " + TOKEN}

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def login(self, token=TOKEN):
        return self.server.post("/login", f"token={token}&next=/system/".encode(),
                                "application/x-www-form-urlencoded")

    def test_only_health_and_login_are_open(self):
        for path in ("/health/", "/v2/health/live", "/login"):
            self.assertEqual(self.server.get(path).status, 200, path)
        for path in ("/", "/memory/", "/metrics", "/openapi.json", "/system/", "/api/v1/models",
                     "/api/v1/events", "/v2", "/v2/models/x", "/v1/models",
                     "/api/v1/results/" + "0" * 32):
            answer = self.server.get(path)
            self.assertEqual(answer.status, 401, path)
            self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
        for path in ("/upload/", "/api/v1/explain", "/v2/repository/models/x/unload"):
            self.assertEqual(self.server.post(path, harness.PHOTO).status, 401, path)

    def test_the_token_opens_everything(self):
        self.assertEqual(self.server.get("/memory/", self.bearer).status, 200)
        self.assertEqual(self.server.post("/api/v1/explain", harness.PHOTO,
                                          headers=self.bearer).status, 200)
        self.assertEqual(self.server.get("/memory/", {"Authorization": "Bearer x"}).status, 401)

    def test_browsers_are_led_to_the_login(self):
        answer = self.server.get("/system/", {"Accept": "text/html"})
        self.assertEqual((answer.status, answer.headers["Location"]), (303, "/login?next=/system/"))

    def test_the_login_gives_a_strict_cookie(self):
        answer = self.login()
        self.assertEqual((answer.status, answer.headers["Location"]), (303, "/system/"))
        cookie = answer.headers["Set-Cookie"]
        self.assertIn("HttpOnly", cookie)
        self.assertIn("SameSite=Strict", cookie)
        self.assertNotIn(TOKEN, cookie)
        session = {"Cookie": cookie.split(";")[0]}
        self.assertEqual(self.server.get("/", session).status, 200)
        own = {**session, "Origin": f"http://127.0.0.1:{self.server.port}"}
        for headers, status in ((session, 403), (own, 200),
                                ({**session, "Origin": "http://evil.example"}, 403),
                                ({**session, "Origin": "null"}, 403)):
            answer = self.server.post("/api/v1/explain", harness.PHOTO, headers=headers)
            self.assertEqual(answer.status, status, headers)
        self.assertEqual(self.server.post("/logout", b"", "application/x-www-form-urlencoded",
                                          own).status, 303)
        self.assertEqual(self.server.get("/", session).status, 401)

    def test_next_stays_here(self):
        for target in ("//evil.example", "https://evil.example", "/%5Cevil.example", "evil",
                       "/%01/evil.example/", "/%7f/evil.example", "/%09/evil.example"):
            answer = self.server.post("/login", f"token={TOKEN}&next={target}".encode(),
                                      "application/x-www-form-urlencoded")
            self.assertEqual(answer.headers["Location"], "/", target)

    def test_no_page_links_to_another_host(self):
        for path in ("//evil.example/", "/%2Fevil.example/", "/\\evil.example/"):
            page = self.server.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n"
                                   "Connection: close\r\n\r\n".encode()).decode()
            self.assertIn(page[9:12], ("400", "401", "404"))
            self.assertNotIn('"//', page)
            self.assertNotIn("Location: //", page)
        answer = self.server.get("/result/a%01%26b/", {"Accept": "text/html"})
        self.assertEqual((answer.status, answer.headers["Location"]),
                         (303, "/login?next=/result/a%01%26b/"))

    def test_wrong_tokens_are_told_so(self):
        answer = self.login("wrong-token-wrong-token")
        self.assertEqual(answer.status, 401)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/html"))

    def test_tokens_are_never_logged(self):
        self.login()
        self.server.get("/memory/", self.bearer)
        self.assertNotIn(TOKEN, self.server.log())


class Guessing(unittest.TestCase):
    def test_guessing_is_429_after_ten(self):
        with harness.tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tokens")
            with open(path, "w", encoding="ascii") as file:
                file.write(TOKEN + "\n")
            with harness.Server("--api-token-file", path) as server:
                statuses = [server.post("/login", b"token=wrong-wrong-wrong-wrong",
                                        "application/x-www-form-urlencoded").status
                            for _ in range(12)]
                self.assertEqual(statuses, [401] * 10 + [429] * 2)


class Rebinding(unittest.TestCase):
    """A foreign page whose name suddenly leads to 127.0.0.1 sends its own name as Host."""

    def test_foreign_names_are_not_ours(self):
        with harness.tempfile.TemporaryDirectory() as folder:
            with harness.Server("--history", os.path.join(folder, "h.db")) as server:
                body, kind = harness.multipart({"symptom": "private"})
                server.post("/upload/", body, kind)
                evil = {"Host": f"evil.example:{server.port}",
                        "Origin": f"http://evil.example:{server.port}"}
                for path in ("/", "/api/v1/history.csv", "/memory/", "/nowhere"):
                    answer = server.get(path, evil)
                    self.assertEqual(answer.status, 421, path)
                    self.assertNotIn(b"private", answer.body)
                answer = server.request("DELETE", "/api/v1/history?older_than_days=0", headers=evil)
                self.assertEqual(answer.status, 421)
                self.assertEqual(server.get("/api/v1/history").json()["total"], 1)
                for host in ("localhost", f"localhost:{server.port}", "[::1]:80", "127.0.0.1"):
                    self.assertEqual(server.get("/memory/", {"Host": host}).status, 200, host)
                absolute = server.raw(b"GET http://evil.example/memory/ HTTP/1.1\r\n"
                                      b"Host: localhost\r\nConnection: close\r\n\r\n")
                self.assertTrue(absolute.startswith(b"HTTP/1.1 421"), absolute[:50])


class Origins(unittest.TestCase):
    def test_cors_is_for_the_named_origin_only(self):
        with harness.Server("--cors-origin", "https://friend.example") as server:
            friendly = server.get("/memory/", {"Origin": "https://friend.example"})
            self.assertEqual(friendly.headers["Access-Control-Allow-Origin"],
                             "https://friend.example")
            foreign = server.get("/memory/", {"Origin": "https://evil.example"})
            self.assertIsNone(foreign.headers["Access-Control-Allow-Origin"])
            preflight = server.request("OPTIONS", "/api/v1/explain", headers={
                "Origin": "https://friend.example", "Access-Control-Request-Method": "POST"})
            self.assertEqual(preflight.status, 204)
            self.assertIn("POST", preflight.headers["Access-Control-Allow-Methods"])
            self.assertIn("Inference-Header-Content-Length",
                          preflight.headers["Access-Control-Allow-Headers"])
            self.assertIn("Inference-Header-Content-Length",
                          friendly.headers["Access-Control-Expose-Headers"])
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO, headers={
                "Origin": "https://evil.example"}).status, 403)


if __name__ == "__main__":
    harness.main()
