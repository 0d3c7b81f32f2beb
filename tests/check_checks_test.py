#!/usr/bin/env python3
"""The checks of the tree find what they are for: each is run on a small wrong tree."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LADDER = """
| folder | what | may use |
|---|---|---|
| `base` | a | – |
| `image` | b | base |
| `server` | c | image |

| header | seen by |
|---|---|
| `png.h`, `webp/` | image |
"""


class Checks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.write("docs/architecture.md", LADDER)
        self.write("src/base/a.h", "#include <vector>\n")
        self.write("src/server/a.cc", '#include "base/a.h"\n')
        self.write("src/server/CMakeLists.txt", "SOURCES a.cc")

    def tearDown(self):
        self.folder.cleanup()

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run_check(self, name):
        done = subprocess.run([sys.executable, HERE / name, self.root], capture_output=True, text=True)
        return done.returncode, done.stdout

    def test_a_right_tree_passes(self):
        self.assertEqual(self.run_check("check_layers.py")[0], 0)
        self.assertEqual(self.run_check("check_registered.py")[0], 0)

    def test_an_arrow_up_the_ladder_is_found(self):
        self.write("src/base/a.h", '#include "image/b.h"\n')
        code, text = self.run_check("check_layers.py")
        self.assertEqual(code, 1)
        self.assertIn("src/base/a.h:1: base may not use image", text)

    def test_a_foreign_library_is_found(self):
        self.write("src/server/a.cc", "\n#include <webp/decode.h>\n")
        code, text = self.run_check("check_layers.py")
        self.assertEqual(code, 1)
        self.assertIn("src/server/a.cc:2: server may not see <webp/decode.h>", text)

    def test_a_folder_off_the_ladder_is_found(self):
        self.write("src/common/a.h", "")
        self.assertEqual(self.run_check("check_layers.py")[0], 1)

    def test_a_test_that_nobody_runs_is_found(self):
        self.write("tests/unit/a_test.cc", "")
        self.write("tests/unit/CMakeLists.txt", "dermlens_test(x SOURCES xa_test.cc) # a_test.cc")
        code, text = self.run_check("check_registered.py")
        self.assertEqual(code, 1)
        self.assertIn("tests/unit/a_test.cc", text)


if __name__ == "__main__":
    unittest.main()
