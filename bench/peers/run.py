#!/usr/bin/env python3
"""Measures dermlens and its peers in turn on one machine and prints one table.

  bench/peers/run.py [--turns 3] [--runs 15] [--only NAME,NAME] [-o build/bench/peers.json]
                     [--chart docs/images/peers.svg]

Every measurement is a fresh process. The systems run A B C A B C ..., so that a slow minute hits
all of them; a ratio is the median over the turns of ours divided by the peer's of the same turn.
Servers run in the first turn only. bench/README.md says what each system is and what it needs.
"""

import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys

import chart

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MEGABYTE = 1 << 20
PLACEMENTS = ("resident", "mapped", "streamed")


def make_photo(path):
    """A 12-megapixel baseline JPEG, synthetic: soft blobs and grain."""
    import numpy as np
    from PIL import Image

    random = np.random.RandomState(12)
    small = random.randint(60, 220, (15, 20, 3)).astype(np.uint8)
    picture = np.asarray(Image.fromarray(small).resize((4000, 3000), Image.BICUBIC), np.int16)
    grain = random.randint(-12, 13, (750, 1000, 1)).repeat(4, 0).repeat(4, 1)
    Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8)).save(path, quality=90)


def quantized(binary, model, work):
    """The model's narrower copies, by name. All of what can be int8 is: no layer is left out, as
    time and memory are measured here, not what the model says."""
    found = {"fp32": model}
    for to in ("fp16", "bf16", "int8"):
        path = work / f"{to}.onnx"
        extra = ["--calibrate", str(work), "--search-seconds", "0"] if to == "int8" else []
        if not path.exists():
            subprocess.run([binary, "quantize", model, "--to", to, *extra, "-o", str(path)],
                           check=True, stdout=subprocess.DEVNULL)
        found[to] = str(path)
    return found


def systems(arguments, work):
    """name -> command, in the order of a turn."""
    reference = pathlib.Path(arguments.reference)
    model, tensor = str(reference / "model.onnx"), str(reference / "input.npy")
    photo, lean = str(work / "photo.jpg"), str(work / "lean.onnx")
    threads, runs = str(arguments.threads), str(arguments.runs)
    few = str(max(3, arguments.runs // 3))
    peer = lambda python, script, *rest: [python, str(HERE / script), *rest]
    here, torch = sys.executable, "/usr/bin/python3"
    if not pathlib.Path(lean).exists():
        subprocess.run(peer(here, "onnxruntime_peer.py", model, "--optimize-to", lean), check=True)
    found = {}
    models = quantized(arguments.binary, model, work)
    also = [word for name, path in models.items() if name != "fp32" for word in ("--also", path)]
    for placement in PLACEMENTS:
        found[f"dermlens-{placement}"] = peer(
            here, "dermlens_peer.py", photo, "--binary", arguments.binary, "--model", model, *also,
            "--weights", placement, "--threads", threads, "--runs", runs)
    crowd = ["--clients", arguments.clients, "--seconds", str(arguments.seconds)]
    often = ["--threads", threads, "--runs", runs, *crowd]
    seldom = ["--threads", threads, "--runs", few, *crowd]
    found["onnxruntime"] = peer(here, "onnxruntime_peer.py", model, tensor, *often)
    found["onnxruntime-lean"] = peer(here, "onnxruntime_peer.py", lean, tensor, "--lean", *often)
    found["pytorch"] = peer(torch, "pytorch_peer.py", tensor, *seldom)
    found["pytorch-gradcam"] = peer(torch, "pytorch_peer.py", tensor, "--gradcam", *seldom)
    http = lambda system, *rest: peer(here, "http_peer.py", photo, "--system", system, *crowd,
                                      *rest)
    found["seed-server"] = http("seed", "--runs", few)
    found["seed-server-plain"] = http("seed", "--no-gradcam", "--runs", few)
    for placement in PLACEMENTS:
        for precision, path in models.items():
            found[f"dermlens-server-{placement}-{precision}"] = http(
                "dermlens", "--runs", runs, "--binary", arguments.binary, "--model", path, "--weights", placement,
                "--precision", precision, "--memory-limit", "512M")
    return found


def measure(name, command):
    """(reports, the machine's floor where the system says it)"""
    if not pathlib.Path(command[0]).exists():
        print(f"{name}: skipped (no {command[0]})", file=sys.stderr)
        return [], None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as peer:
        try:
            answer, errors = peer.communicate()
        finally:
            if peer.poll() is None:
                peer.terminate()
    if peer.returncode != 0:
        reason = (errors.strip().splitlines() or ["no message"])[-1]
        print(f"{name}: skipped ({reason})", file=sys.stderr)
        return [], None
    document = json.loads(answer)
    return document["results"], document.get("floor")


def in_turns(commands, turns):
    """{(system, configuration, gradcam): [report of each turn]}, [floor of each]"""
    found, floors = {}, []
    for turn in range(turns):
        for name in list(commands):
            if turn > 0 and "server" in name:
                continue
            print(f"turn {turn + 1}/{turns}: {name}", file=sys.stderr)
            reports, floor = measure(name, commands[name])
            if floor:
                floors.append(floor)
            if not reports:
                del commands[name]  # what failed once is not asked again
            for report in reports:
                key = (report["system"], report["configuration"], report["gradcam"])
                found.setdefault(key, []).append(report)
    return found, floors


def ratio(reports, base):
    pairs = [a["median_ms"] / b["median_ms"] for a, b in zip(reports, base)]
    return round(statistics.median(pairs), 3) if pairs else None


def is_server(configuration):
    return configuration.startswith("server")


def floor_of(found, system, configuration):
    """Least milliseconds this machine needs for what the system multiplies; None for servers."""
    if is_server(configuration):
        return None
    same = found.get(("dermlens", configuration if system == "dermlens" else "resident fp32", False))
    return statistics.median(report["floor_ms"] for report in same) if same else None


def rates_of(reports):
    """Median over the turns of the requests a second, by number of clients."""
    all_rates = [report["requests_per_second"] for report in reports
                 if "requests_per_second" in report]
    return {clients: round(statistics.median(rates[clients] for rates in all_rates), 2)
            for clients in (all_rates[0] if all_rates else ())}


def summary(found):
    base = found.get(("onnxruntime", "default", False), [])
    rows = []
    for (system, configuration, gradcam), reports in found.items():
        median = lambda key: statistics.median(report[key] for report in reports)
        plain = found.get((system, configuration, False)) if gradcam else None
        floor_ms = floor_of(found, system, configuration)
        rows.append({
            "system": system, "configuration": configuration, "gradcam": gradcam,
            "turns": len(reports), "first_ms": median("first_ms"), "median_ms": median("median_ms"),
            "cold_ms": median("cold_forward_ms") if "cold_forward_ms" in reports[0] else None,
            "of_onnxruntime": None if is_server(configuration) else ratio(reports, base),
            "of_own_forward": ratio(reports, plain) if plain else None,
            "of_floor": None if floor_ms is None else round(median("median_ms") / floor_ms, 2),
            "peak_mb": max(report["peak_bytes"] for report in reports) / MEGABYTE,
            "anon_mb": median("anon_bytes") / MEGABYTE, "file_mb": median("file_bytes") / MEGABYTE,
            "requests_per_second": rates_of(reports)})
    return rows


def print_table(rows, clients):
    columns = ["system", "Grad-CAM", "first ms", "median ms", "cold ms", "x ONNX Runtime",
               "x own forward", "x floor", "peak MB", "anon MB", "file MB",
               "requests/s at " + clients.replace(",", " / ")]
    lines = [columns, ["---"] * len(columns)]
    blank = lambda value, form: "" if value is None else format(value, form)
    for row in rows:
        lines.append([
            f"{row['system']} {row['configuration']}", "yes" if row["gradcam"] else "no",
            f"{row['first_ms']:.0f}", f"{row['median_ms']:.0f}", blank(row["cold_ms"], ".0f"),
            blank(row["of_onnxruntime"], ".2f"), blank(row["of_own_forward"], ".2f"),
            blank(row["of_floor"], ".1f"), f"{row['peak_mb']:.0f}", f"{row['anon_mb']:.0f}",
            f"{row['file_mb']:.0f}",
            " / ".join(f"{rate:.1f}" for rate in row["requests_per_second"].values())])
    for line in lines:
        print("| " + " | ".join(line) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=str(ROOT / "build/release/dermlens"))
    parser.add_argument("--reference", default=str(ROOT / "build/reference/efficientnet_v2_s"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clients", default="1,4,16")
    parser.add_argument("--seconds", type=float, default=5, help="for each number of clients")
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--chart", help="draw peak memory by system into this SVG")
    parser.add_argument("-o", "--output", default=str(ROOT / "build/bench/peers.json"))
    arguments = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    output = pathlib.Path(arguments.output)
    work = output.parent
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "photo.jpg").exists():
        make_photo(work / "photo.jpg")
    commands = systems(arguments, work)
    if arguments.only:
        wanted = arguments.only.split(",")
        unknown = [name for name in wanted if name not in commands]
        if unknown:
            parser.error(f"no system {unknown[0]}; there are {', '.join(commands)}")
        commands = {name: commands[name] for name in wanted}
    found, floors = in_turns(commands, arguments.turns)
    rows = summary(found)
    # The best that was seen: a busy minute makes the machine slower, never faster.
    floor = {key: max(each[key] for each in floors) for key in floors[0]} if floors else {}
    output.write_text(json.dumps({"turns": arguments.turns, "threads": arguments.threads,
                                  "floor": floor, "rows": rows}, indent=1) + "\n")
    print_table(rows, arguments.clients)
    print("\nThis machine at best: " + ", ".join(f"{key} {value:.1f}" for key, value in floor.items()))
    if arguments.chart:
        pathlib.Path(arguments.chart).write_text(chart.draw(chart.bars(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
