#!/usr/bin/env python3
"""What a fresh process takes is what was planned, for every network and every placement.

For each network: write its pack, ask `dermlens plan` for the peak of explaining a photo of noise,
whose overlay is as long as an overlay can be, then explain it in a fresh process for each placement.
The plan is never below the kernel's high-water mark (VmHWM) and at most 10 % above it; writing the
pack stays within what is planned for that.
The model is written in one piece, so that the page cache may hold it in huge pages: a touch of one
then maps 2 MB.

The shipped model, its siblings in bf16 and int8 and the mini networks always; with
DERMLENS_REFERENCE_DIR every network there.
"""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

from cells import NOISE

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("DERMLENS_BINARY", str(ROOT / "build" / "release" / "dermlens"))
PLACEMENTS = ("resident", "mapped", "streamed")
MOST_ABOVE = 0.10
RELEASE = os.environ.get("DERMLENS_RELEASE") == "1"


def siblings(model, folder):
    """The model in other precisions."""
    for precision, options in (("bf16", ()), ("int8", ("--calibrate", ROOT / "samples",
                                                       "--search-seconds", "0"))):
        path = folder / f"{precision}.onnx"
        run("quantize", model, "--to", precision, *options, "-o", path)
        yield f"{model.stem} {precision}", path


def networks(made):
    shipped = ROOT / "models" / "skin7-b0.onnx"
    yield shipped.stem, shipped
    if shipped.exists():
        yield from siblings(shipped, made)
    for folder in (ROOT / "tests" / "golden" / "fixtures", os.environ.get("DERMLENS_REFERENCE_DIR")):
        if folder:
            for path in sorted(pathlib.Path(folder).glob("*/model.onnx")):
                yield path.parent.name, path


def run(*arguments):
    """Its output, and the most that it had in memory."""
    process = subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    output = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{arguments}: exit {process.returncode}, {errors}")
    return output, usage.ru_maxrss * 1024


def explain(photo, model, placement, cache, folder):
    """The high-water mark. The kernel counts from the fork on, when the process was still this
    script; where that was more, what the process says of itself at the end of its work counts."""
    output, peak = run("explain", photo, "-o", folder / "overlay.png", "--json", "--model", model,
                       "--cache-dir", cache, "--weights", placement)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    said = json.loads(output)["memory"]["peak_bytes"]
    return max(said, peak if peak > own else 0)


def judge(planned, measured):
    if measured > planned:
        return "more than planned"
    return "holds" if planned <= measured * (1 + MOST_ABOVE) else "over 10 % less than planned"


def measure(name, model, folder):
    """Rows of (network, what, planned, measured, verdict)."""
    cache = folder / "cache"
    for weights in model.parent.glob("*.bin"):  # external data
        shutil.copy(weights, folder)
    copy = folder / "model.onnx"
    subprocess.run(["dd", f"if={model}", f"of={copy}", "bs=1G", "iflag=fullblock", "status=none"],
                   check=True)
    model = copy
    photo = folder / "noise.png"
    photo.write_bytes(NOISE)
    document = json.loads(run("plan", model, "--json", "--photo", photo)[0])
    ways = {}
    for way in document["configurations"]:  # those with heatmaps come first, where there are any
        ways.setdefault(way["placement"], way)
    built = explain(photo, model, "streamed", cache, folder)
    planned = max(ways["streamed"]["building_peak_bytes"], ways["streamed"]["peak_bytes"])
    yield name, "building", planned, built, "holds" if built <= planned else "more than planned"
    for placement in PLACEMENTS:
        measured = explain(photo, model, placement, cache, folder)
        planned = ways[placement]["peak_bytes"]
        yield name, placement, planned, measured, judge(planned, measured)


def check_all(made):
    """How many configurations there were, and how many failed. A release skips none."""
    failed = count = 0
    for name, model in networks(made):
        if not model.exists():
            print(f"skipped: {name} is not there")
            failed += RELEASE
            continue
        with tempfile.TemporaryDirectory() as folder:
            for row in measure(name, model, pathlib.Path(folder)):
                count += 1
                failed += row[-1] != "holds"
                print(f"{row[0]:20} {row[1]:9} planned {row[2] / 2**20:7.1f} MB, measured "
                      f"{row[3] / 2**20:7.1f} MB, {row[2] / row[3]:.3f}: {row[4]}", flush=True)
    return count, failed


def main():
    with tempfile.TemporaryDirectory() as made:
        count, failed = check_all(pathlib.Path(made))
    print(f"{count} configurations, {failed} failed")
    if count == 0:
        return 77
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
