#!/usr/bin/env python3
"""No allocation of 64 KiB or more escapes a reservation, cold and warm, in every placement.

Run by ctest; LIMITS_PRELOAD and LIMITS_SUBJECT name the library and the program it watches.
With sanitizers, which have an allocator of their own, it is skipped.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PHOTO = str(ROOT / "samples" / "sample.jpg")
MODELS = [ROOT / "models" / "skin7-b0.onnx"]
REFERENCE = os.environ.get("DERMLENS_REFERENCE_DIR")
if REFERENCE:
    MODELS.append(pathlib.Path(REFERENCE) / "efficientnet_v2_s" / "model.onnx")


def watch(model, photo, placement, cache):
    """The report of one run: numbers by key, and the text of the escapes."""
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as report:
        environment = dict(os.environ, LD_PRELOAD=os.environ["LIMITS_PRELOAD"],
                           DERMLENS_ESCAPES=report.name)
        done = subprocess.run([os.environ["LIMITS_SUBJECT"], str(model), photo, placement, cache],
                              env=environment, capture_output=True, text=True, timeout=120)
        text = report.read()
    if done.returncode != 0:
        raise AssertionError(f"{placement}: exit {done.returncode}\n{done.stderr}")
    lines = text.splitlines()
    return {key: int(value) for key, value in (line.split() for line in lines[:5])}, text


class Escapes(unittest.TestCase):
    def test_every_large_block_is_reserved_before_it_is_made(self):
        with tempfile.TemporaryDirectory() as folder:
            for model in MODELS:
                for placement in ("resident", "mapped", "streamed"):
                    cache = os.path.join(folder, f"{model.parent.name}-{placement}")
                    for state in ("cold", "warm"):
                        with self.subTest(model=model.name, placement=placement, cache=state):
                            numbers, text = watch(model, PHOTO, placement, cache)
                            self.assertEqual(numbers["exported"], 1, "nothing was compared")
                            self.assertGreater(numbers["blocks"], 10, "nothing was counted")
                            self.assertEqual(numbers["escapes"], 0, text)
                            print(f"{model.name} {placement} {state}: {numbers['blocks']} blocks, "
                                  f"at most {numbers['most_live'] / 2**20:.1f} MB at once")


if __name__ == "__main__":
    if not MODELS[0].exists():
        print("skipped: the shipped model is not in models/")
        sys.exit(77)
    unittest.main()
