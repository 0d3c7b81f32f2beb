#!/usr/bin/env python3
"""bench: what a cold page cache costs is measured with the weights really on the disk."""

import pathlib
import subprocess
import tempfile
import unittest

from frame import BINARY, MODEL, CliTest, png


class ColdCache(CliTest):
    def test_mapped_and_streamed_weights_come_from_the_disk_and_resident_ones_do_not(self):
        place = pathlib.Path(BINARY).parent
        system = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True,
                                check=True).stdout.strip()
        if system in ("tmpfs", "ramfs"):
            self.skipTest(f"{place} is on {system}: nothing comes from a disk there")
        with tempfile.TemporaryDirectory(dir=place) as cache:
            photo = self.write("a.png", png(300, 300))
            rows = self.json("bench", "--model", MODEL, "--image", photo, "--runs", "2",
                             "--cache-dir", cache)["results"]
        self.assertEqual({row["placement"] for row in rows}, {"resident", "mapped", "streamed"})
        for row in rows:
            with self.subTest(configuration=row["configuration"], gradcam=row["gradcam"]):
                self.assertGreater(row["cold_first_ms"], 0)
                self.assertGreater(row["cold_forward_ms"], 0)
                if row["placement"] == "resident":
                    self.assertLess(row["cold_read_bytes"], 0.1 * row["weight_bytes"])
                else:
                    self.assertGreater(row["cold_read_bytes"], 0.9 * row["weight_bytes"])


if __name__ == "__main__":
    unittest.main()
