#!/usr/bin/env python3
"""Each planned configuration serves in a control group of its predicted peak + 4 MB.

  DERMLENS_BINARY=build/release/dermlens tests/e2e/limits/cgroup_test.py [--short] [--write docs/memory.md]

A cell is a process in a control group (v1 or v2) of its own: `dermlens serve` asked by as many
clients at once as it has sessions, or `dermlens explain` again and again. Cold: its files are out of
the page cache before a process starts, so that the group pays for their pages. A cell fails where a request is not
answered, a reservation was refused, a process was killed, or the prediction is below the kernel's
high-water mark (VmHWM) or more than 10 % above it.

The photo is noise, whose pictures are as long as pictures can be, as many clients ask at once as
there are sessions, and they ask for all that a server plans for. The prediction is the server's own
(/memory/). Twenty at once are tried twice: with pictures, under the limit that is promised, and
without, where the prediction, lowered by the pictures, is compared as in every other cell.

Skipped (77) where no control group can be made; with DERMLENS_RELEASE=1 that is a failure, and so are
a model that is missing and fewer than 12 cells. DERMLENS_LIMITS_REQUESTS is the number of requests a
cell (20; a release asks for 200); DERMLENS_REFERENCE_DIR adds EfficientNetV2-S. --short: a few cells of each kind.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from cells import Crowded, Explained, Served
from control_group import V2, Group
from predictions_test import siblings

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("DERMLENS_BINARY", str(ROOT / "build" / "release" / "dermlens"))
REQUESTS = int(os.environ.get("DERMLENS_LIMITS_REQUESTS", "20"))
RELEASE = os.environ.get("DERMLENS_RELEASE") == "1"
LEAST_CELLS = 12
MB = 1 << 20


def models(made, wanted):
    """By name, those that are there, and the wanted siblings, which are made in the folder `made`."""
    found = {"skin7-b0": ROOT / "models" / "skin7-b0.onnx"}
    if os.environ.get("DERMLENS_REFERENCE_DIR"):
        found["V2-S"] = (pathlib.Path(os.environ["DERMLENS_REFERENCE_DIR"]) / "efficientnet_v2_s" /
                         "model.onnx")
    found = {name: path for name, path in found.items() if path.exists()}
    for name, path in list(found.items()):
        if any(one.startswith(name + " ") for one in wanted):
            folder = made / name
            folder.mkdir()
            found.update((f"{name} {one.stem}", one) for _, one in siblings(path, folder))
    return found


# (model, weights, heatmaps, sessions, cold, limit or None, part of the short set)
SERVED = [
    ("skin7-b0", "resident", True, 1, False, None, False),
    ("skin7-b0", "resident", True, 4, True, None, True),
    ("skin7-b0", "resident", False, 4, False, None, False),
    ("skin7-b0", "mapped", True, 2, True, None, True),
    ("skin7-b0", "mapped", False, 2, False, None, False),
    ("skin7-b0", "streamed", True, 1, True, None, True),
    ("skin7-b0", "streamed", True, 4, False, None, False),
    ("skin7-b0", "streamed", False, 2, True, None, True),
    ("V2-S", "resident", True, 2, True, None, True),
    ("V2-S", "resident", False, 4, False, None, False),
    ("V2-S", "mapped", True, 2, True, None, False),
    ("V2-S", "mapped", False, 1, False, None, False),
    ("V2-S", "streamed", True, 1, True, None, True),
    ("V2-S", "streamed", True, 4, False, None, False),
    ("V2-S", "streamed", False, 2, True, None, False),
    # Other precisions.
    ("skin7-b0 int8", "resident", True, 2, True, None, False),
    ("skin7-b0 bf16", "streamed", True, 2, False, None, False),
    ("V2-S int8", "streamed", True, 2, True, None, True),
    ("V2-S bf16", "resident", True, 1, False, None, False),
    # The limits that are promised: what is chosen under them serves.
    ("V2-S", "auto", True, 20, False, 512 * MB, True),
    ("V2-S", "auto", True, 1, True, 64 * MB, True),
    ("skin7-b0", "auto", True, 1, True, 48 * MB, True),
]

# Twenty that ask for everything.
CROWDED = ("V2-S", "auto", True, 20, False, 512 * MB)

# (model, weights, cold, part of the short set)
EXPLAINED = [(model, weights, cold, model == "V2-S" and weights == "streamed" and cold)
             for model in ("skin7-b0", "V2-S")
             for weights in ("resident", "mapped", "streamed")
             for cold in (False, True)]


def cells(short, there):
    for model, weights, cold, in_short in EXPLAINED:
        if model in there and (in_short or not short):
            yield Explained(BINARY, model, there[model], weights, cold)
    for model, weights, heatmaps, sessions, cold, limit, in_short in SERVED:
        if model in there and (in_short or not short):
            yield Served(BINARY, model, there[model], weights, heatmaps, sessions, cold, limit)
    model, *how = CROWDED
    if model in there and not short:
        yield Crowded(BINARY, model, there[model], *how)


def table(rows):
    titles = ["configuration", "predicted MB", "limit MB", "measured MB", "predicted / measured",
              "answers", "verdict"]
    return "\n".join("| " + " | ".join(row) + " |"
                     for row in [titles, ["---"] * len(titles), *rows])


def write(path, rows):
    """Replaces what lies between the two marks."""
    begin, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    text = pathlib.Path(path).read_text(encoding="utf-8")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text("ascii"))
    where = (f"{cpu.group(1) if cpu else 'unknown CPU'}, {os.cpu_count()} cores, control groups "
             f"{'v2' if V2 else 'v1'}, {REQUESTS} requests a cell.")
    pathlib.Path(path).write_text(
        f"{before}{begin}\n{where}\n\n{table(rows)}\n{end}{after}", encoding="utf-8")


def run(short):
    """The rows, and how many cells failed."""
    rows, failed = [], 0
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as made:
        there = models(pathlib.Path(made), {cell[0] for cell in SERVED if cell[-1] or not short})
        for path in there.values():
            subprocess.run([BINARY, "pack", str(path), "--cache-dir", cache],
                           capture_output=True, check=True, timeout=120)
        for cell in cells(short, there):
            cell.run(REQUESTS, cache)
            failed += bool(cell.trouble)
            rows.append(cell.row())
            print(" | ".join(rows[-1]), flush=True)
    return rows, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", help="the document whose table to replace")
    parser.add_argument("--short", action="store_true", help="a few cells of each kind")
    arguments = parser.parse_args()
    try:
        with Group(1 << 30):
            pass
    except OSError as error:
        print(f"skipped: no control group can be made ({error})")
        return 1 if RELEASE else 77
    rows, failed = run(arguments.short)
    if arguments.write:
        write(arguments.write, rows)
    whole = len(EXPLAINED) + len(SERVED) + 1
    if len(rows) < whole and not arguments.short:
        print(f"{whole - len(rows)} cells skipped: a model is not there")
        failed += whole - len(rows) if RELEASE else 0
    if len(rows) < LEAST_CELLS and RELEASE:
        print(f"{len(rows)} cells are too few ({LEAST_CELLS})")
        failed += 1
    print(f"{len(rows)} cells, {failed} failed")
    return 1 if failed or len(rows) == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
