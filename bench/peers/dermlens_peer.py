#!/usr/bin/env python3
"""Ours: `dermlens bench`, with first_ms measured as the peers' is.

  dermlens_peer.py PHOTO.jpg --binary build/release/dermlens --weights resident
                   --model M.onnx [--also M-int8.onnx ...] [--threads 1] [--runs 30]

`dermlens bench` forks a process for each configuration and says how long that takes to load and to
answer once. Here first_ms is a command of its own, from its start to its end: `dermlens explain` with
the overlay into a file, or `dermlens classify`. The pack is there, as bench has just used it.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile

import measure

FIRSTS = 3


def first_ms(arguments, report):
    """The median of a few processes: a single one is at the mercy of what else runs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [arguments.binary, *(["explain", "-o", os.path.join(folder, "overlay.png")]
                                       if report["gradcam"] else ["classify"]),
                   "--model", report["model"], "--weights", report["placement"],
                   "--threads", arguments.threads, "--json", arguments.photo]
        run = lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return statistics.median(measure.timed(run)[1] for _ in range(FIRSTS))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--also", action="append", default=[])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--runs", default="30")
    arguments = parser.parse_args()

    # A runner that is stopped stops us with SIGTERM: what we started must not outlive that.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command = [arguments.binary, "bench", "--model", arguments.model, "--image", arguments.photo,
               "--weights", arguments.weights, "--threads", arguments.threads,
               "--runs", arguments.runs, "--json"]
    for model in arguments.also:
        command += ["--also", model]
    document = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for report in document["results"]:
        report["first_ms"] = round(first_ms(arguments, report), 1)
    print(json.dumps(document))


if __name__ == "__main__":
    main()
