"""The seed's routes: its shapes, its percentages, its errors, its result page."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness

CLASSES = {
    "Acne and Rosacea Photos", "Eczema Photos", "Heathy",
    "Psoriasis pictures Lichen Planus and related diseases",
    "Scabies Lyme Disease and other Infestations and Bites",
    "Seborrheic Keratoses and other Benign Tumors", "Warts Molluscum and other Viral Infections",
}


class Seed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_predict_with_gradcam_answers_as_it_did(self):
        for text in (base64.b64encode(harness.PHOTO).decode(),
                     "data:image/png;base64," + base64.b64encode(harness.PHOTO).decode()):
            answer = self.server.post_json("/predict_with_gradcam", {"data": text})
            self.assertEqual(answer.status, 200, answer.body)
            body = answer.json()
            self.assertEqual({entry["class"] for entry in body["results"]}, CLASSES)
            shares = [entry["probability"] for entry in body["results"]]
            self.assertEqual(shares, sorted(shares, reverse=True))
            self.assertAlmostEqual(sum(shares), 100, delta=0.1)
            self.assertTrue(base64.b64decode(body["heatmap_base64"]).startswith(b"\x89PNG"))

    def upload(self, path, body, content_type, headers=None):
        return self.server.post(path, body, content_type, headers)

    def result_of(self, answer):
        self.assertEqual(answer.status, 302, answer.body)
        location = answer.headers["Location"]
        self.assertRegex(location, r"^/result/[0-9a-f]{32}/$")
        return location

    def test_an_uploaded_file_leads_to_its_result(self):
        body, kind = harness.multipart({})
        for path in ("/upload/", "/upload/file/"):
            page = self.server.get(self.result_of(self.upload(path, body, kind)))
            self.assertEqual(page.status, 200)
            text = page.body.decode()
            self.assertGreaterEqual(len(re.findall(r"\d+\.\d\d", text)), 7)
            self.assertIn("photo.jpg", text)
            self.assertIn("overlay.png", text)

    def test_the_camera_sends_a_data_url(self):
        url = "data:image/jpeg;base64," + base64.b64encode(harness.PHOTO).decode()
        body, kind = harness.multipart({"image": url}, photo=None)
        self.result_of(self.upload("/upload/", body, kind))
        form = ("image=" + url.replace("+", "%2B").replace("/", "%2F")).encode()
        self.result_of(self.upload("/upload/", form, "application/x-www-form-urlencoded"))

    def test_clients_that_prefer_json_get_it(self):
        body, kind = harness.multipart({})
        answer = self.upload("/upload/", body, kind, {"Accept": "application/json"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(len(answer.json()["predictions"]), 7)
        self.assertEqual(len(answer.json()["explanations"][0]["map"]),
                         answer.json()["explanations"][0]["grid"][0] ** 2)

    def test_errors_have_a_sentence(self):
        body, kind = harness.multipart({}, photo=b"not a picture at all")
        for answer, status in (
                (self.upload("/upload/", body, kind), 415),
                (self.upload("/upload/", b"garbage", kind), 400),
                (self.upload("/upload/", harness.multipart({"a": "b"}, None)[0], kind), 400),
                (self.server.get("/upload/"), 405),
                (self.server.post_json("/predict_with_gradcam", {}), 400),
                (self.server.post_json("/predict_with_gradcam", {"data": "%%%"}), 400)):
            self.assertEqual(answer.status, status, answer.body)
            self.assertTrue(answer.json()["error"])
            self.assertTrue(answer.json()["code"])

    def test_a_browser_without_scripts_sees_the_error_as_a_page(self):
        body, kind = harness.multipart({}, photo=b"not a picture at all")
        answer = self.upload("/upload/file/", body, kind, {"Accept": "text/html,*/*;q=0.8"})
        self.assertEqual(answer.status, 415)
        self.assertIn(b"<html", answer.body.lower())

    def test_a_result_can_be_deleted_without_scripts(self):
        body, kind = harness.multipart({})
        location = self.result_of(self.upload("/upload/file/", body, kind))
        answer = self.server.post(location + "delete", b"", "application/x-www-form-urlencoded")
        self.assertEqual(answer.status, 303)
        self.assertEqual(self.server.get(location).status, 404)


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class ByCurl(unittest.TestCase):
    """The commands that the seed's authors and users type."""

    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.folder = tempfile.TemporaryDirectory()
        cls.photo = os.path.join(cls.folder.name, "skin.png")
        with open(cls.photo, "wb") as file:
            file.write(harness.PHOTO)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()
        cls.server.stop()

    def curl(self, path, *options):
        done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60", *options,
                               f"http://127.0.0.1:{self.server.port}{path}"],
                              capture_output=True, check=True)
        return done.stdout

    def test_health_and_memory(self):
        self.assertEqual(self.curl("/health/"), b"ok")
        memory = json.loads(self.curl("/memory/"))
        self.assertEqual(memory["status"], "ok")
        self.assertGreater(memory["memory"]["rss_mb"], 1)

    def test_an_upload_leads_to_its_result(self):
        for path, field in (("/upload/", f"image=@{self.photo}"),
                            ("/upload/file/", f"image=@{self.photo};type=image/png")):
            page = self.curl(path, "--location", "--form", field).decode()
            self.assertIn("Dày sừng tiết bã", page)
            self.assertRegex(page, r"\d+\.\d\d\s?%")
        text = base64.b64encode(harness.PHOTO).decode()
        with open(os.path.join(self.folder.name, "camera"), "w", encoding="ascii") as file:
            file.write("data:image/png;base64," + text)
        page = self.curl("/upload/", "--location", "--form", f"image=<{file.name}").decode()
        self.assertIn("Dày sừng tiết bã", page)

    def test_a_prediction_by_json(self):
        with open(os.path.join(self.folder.name, "body"), "w", encoding="ascii") as file:
            json.dump({"data": base64.b64encode(harness.PHOTO).decode()}, file)
        answer = json.loads(self.curl("/predict_with_gradcam", "--header",
                                      "Content-Type: application/json", "--data", f"@{file.name}"))
        self.assertEqual({result["class"] for result in answer["results"]}, CLASSES)
        self.assertAlmostEqual(sum(r["probability"] for r in answer["results"]), 100, delta=0.1)
        self.assertTrue(base64.b64decode(answer["heatmap_base64"]).startswith(b"\x89PNG"))

    def test_errors_are_json(self):
        answer = json.loads(self.curl("/upload/", "--form", "image=not-a-photo"))
        self.assertIn("error", answer)


class WithoutHeatmaps(unittest.TestCase):
    def test_enable_gradcam_switches_them_off(self):
        with harness.Server(env={"ENABLE_GRADCAM": "false"}) as server:
            self.assertIs(server.memory()["gradcam_enabled"], False)
            text = base64.b64encode(harness.PHOTO).decode()
            answer = server.post_json("/predict_with_gradcam", {"data": text})
            self.assertEqual(answer.status, 200, answer.body)
            self.assertIsNone(answer.json()["heatmap_base64"])
            self.assertEqual(server.post("/api/v1/explain", harness.PHOTO).status, 403)
            self.assertEqual(server.post("/api/v1/classify", harness.PHOTO).status, 200)


if __name__ == "__main__":
    harness.main()
