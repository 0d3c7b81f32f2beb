#!/usr/bin/env python3
"""Every class of failure: its exit code, its one line, and nothing half written."""

import json
import os
import subprocess
import unittest

from frame import BINARY, FIXTURES, MODEL, SAMPLE, CliTest, png


class WrongUsage(CliTest):
    def test_exits_with_2(self):
        out = self.folder / "o.png"
        for arguments in (
            [],
            ["no-such-command"],
            ["classify"],
            ["classify", SAMPLE, "--no-such-option"],
            ["classify", SAMPLE, "--memory-limit", "lots"],
            ["classify", SAMPLE, "--memory-limit", "0"],
            ["classify", SAMPLE, "--threads", "0"],
            ["classify", SAMPLE, "--top-k", "-1"],
            ["classify", SAMPLE, "--weights", "floating"],
            ["explain", SAMPLE],
            ["explain", SAMPLE, "-o", self.folder],
            ["explain", SAMPLE, "-o", self.folder / "no/such/o.png"],
            ["explain", SAMPLE, "-o", ""],
            ["explain", SAMPLE, "-o", out, "--method", "guess"],
            ["explain", SAMPLE, "-o", out, "--score", "luck"],
            ["explain", SAMPLE, "-o", out, "--colormap", "pink"],
            ["explain", SAMPLE, "-o", out, "--alpha", "1.5"],
            ["explain", SAMPLE, "-o", out, "--alpha", "nan"],
            ["explain", SAMPLE, "-o", out, "--layer", "no such layer"],
            ["explain", SAMPLE, "-o", out, "--target", "no such class"],
            ["explain", SAMPLE, "-o", out, "--target", "7"],
            ["run", MODEL, "--input", "image", "-o", self.folder],
            ["run", MODEL, "-o", self.folder],
            ["grad", MODEL, "--of", "logits[x]", "--at", "image", "-o", out],
            ["explain", SAMPLE, "-o", "/proc/o.png"],
            ["pack", MODEL, "--no-cache"],
        ):
            with self.subTest(arguments=arguments):
                done = self.dermlens(*arguments, expect=2)
                self.assertEqual(done.stderr.decode().count("\n"), 1)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_command_that_is_not_there_is_named(self):
        done = self.dermlens("no-such-command", expect=2)
        self.assertIn("no command 'no-such-command'", done.stderr.decode())

    def test_help_has_an_example_and_exits_with_0(self):
        for command in ("classify", "explain", "run", "grad", "inspect", "plan", "pack"):
            text = self.dermlens(command, "--help").stdout.decode()
            self.assertIn("Example:", text)
            self.assertIn("dermlens " + command, text)

    def test_version(self):
        self.assertRegex(self.dermlens("--version").stdout.decode(), r"^dermlens \d+\.\d+\.\d+\n$")


class BadInput(CliTest):
    def test_photos_exit_with_3(self):
        whole = png(40, 40)
        for name, data in (
            ("empty", b""),
            ("text.jpg", b"this is no photo"),
            ("truncated.png", whole[:len(whole) // 2]),
            ("gif.jpg", b"GIF89a" + bytes(20)),
            ("jpeg_start", b"\xff\xd8\xff"),
            ("bomb.png", whole[:16] + b"\x7f\xff\xff\xff" * 2 + whole[24:]),
        ):
            with self.subTest(name=name):
                photo = self.write(name, data)
                self.dermlens("classify", photo, expect=3)
                answer = json.loads(self.dermlens("classify", photo, "--json", expect=3).stdout)
                self.assertIn("error", answer)
        self.dermlens("classify", self.folder, expect=3)
        self.dermlens("classify", "/no/such/photo.jpg", expect=3)

    def test_models_exit_with_3(self):
        model = MODEL.read_bytes()
        for name, data in (
            ("empty.onnx", b""),
            ("text.onnx", b"this is no model"),
            ("truncated.onnx", model[:len(model) // 2]),
            ("photo.onnx", SAMPLE.read_bytes()),
        ):
            with self.subTest(name=name):
                path = self.write(name, data)
                for command in (["classify", SAMPLE, "--model", path], ["inspect", path],
                                ["plan", path], ["pack", path]):
                    self.dermlens(*command, expect=3)
        self.dermlens("classify", SAMPLE, "--model", "/no/such/model.onnx", expect=3)

    def test_control_characters_never_reach_the_terminal(self):
        done = self.dermlens("classify", "no\x1b[31m\nsuch", expect=3)
        self.assertNotIn(b"\x1b", done.stderr)
        self.assertEqual(done.stderr.count(b"\n"), 1)


class Limits(CliTest):
    def test_over_the_memory_limit_exits_with_4_and_names_the_bytes(self):
        for limit in ("1M", "12M"):
            done = self.dermlens("classify", SAMPLE, "--memory-limit", limit, "--json", expect=4)
            answer = json.loads(done.stdout)
            self.assertIn(answer["code"], ("over_limit", "memory_limit"))
            self.assertGreater(answer["needed_bytes"], 0)

    def test_a_plan_under_an_impossible_limit_exits_with_4_and_says_what_would_do(self):
        done = self.dermlens("plan", "--memory-limit", "16M", expect_any=True)
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"below the smallest plan", done.stderr)


class Output(CliTest):
    def test_a_full_disk_exits_with_5(self):
        self.dermlens("explain", SAMPLE, "-o", "/dev/full", expect=5)
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BINARY, "classify", str(SAMPLE)], stdout=full,
                                  stderr=subprocess.PIPE, timeout=120, check=False,
                                  env=self.environment())
        self.assertEqual(done.returncode, 5)
        self.assertIn(b"dermlens: ", done.stderr)

    def test_a_closed_pipe_is_an_error_and_no_signal(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([BINARY, "classify", str(SAMPLE), "--json"], stdout=writer,
                              stderr=subprocess.PIPE, timeout=120, check=False,
                              env=self.environment())
        os.close(writer)
        self.assertEqual(done.returncode, 5)

    def test_a_cache_that_cannot_be_made_only_costs_time(self):
        blocked = self.write("file", "x") / "cache"
        self.json("classify", self.write("a.png", png(40, 40)), "--model",
                  FIXTURES / "residual/model.onnx", "--cache-dir", blocked)


if __name__ == "__main__":
    unittest.main()
