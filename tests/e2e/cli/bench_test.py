#!/usr/bin/env python3
"""bench: what a cold page cache costs is measured with the weights really on the disk."""

import pathlib
import signal
import subprocess
import tempfile
import time
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


class MemoryLimit(CliTest):
    def test_a_row_that_does_not_fit_is_marked_and_the_others_are_measured(self):
        arguments = ("bench", "--model", MODEL, "--runs", "1", "--memory-limit", "32M")
        rows = self.json(*arguments)["results"]
        fits = {(row["configuration"].split()[0], row["gradcam"]): row["fits"] for row in rows}
        self.assertEqual(len(fits), 6)
        self.assertTrue(fits["streamed", False])
        self.assertFalse(fits["resident", True])
        for row in rows:
            self.assertEqual("forward_ms" in row, row["fits"])
            if not row["fits"]:
                self.assertNotRegex(row["error"], "/tmp|/proc")
        text = self.dermlens(*arguments).stdout.decode()
        self.assertEqual(text.count("does not fit"), list(fits.values()).count(False))

    def test_a_server_that_does_not_fit_costs_its_own_figures_only(self):
        rows = self.json("bench", "--model", MODEL, "--runs", "1", "--memory-limit", "32M",
                         "--weights", "streamed", "--clients", "1")["results"]
        self.assertTrue(all(row["fits"] for row in rows))
        self.assertIn("server did not start", rows[1]["server_error"])

    def test_no_row_that_fits_exits_with_4(self):
        self.dermlens("bench", "--model", MODEL, "--runs", "1", "--memory-limit", "10M", expect=4)


class Signals(CliTest):
    def test_nothing_is_left_of_a_run_that_is_ended(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                command = subprocess.Popen([BINARY, "bench", "--model", MODEL, "--runs", "1000"],
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                           env={**self.environment(), "TMPDIR": str(self.folder)})
                time.sleep(2)
                command.send_signal(number)
                # The pipe ends with the last process that holds it.
                command.communicate(timeout=10)
                self.assertEqual(command.returncode, -number)
                self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
