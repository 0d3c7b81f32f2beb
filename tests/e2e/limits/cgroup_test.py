#!/usr/bin/env python3
"""Each planned configuration serves in a control group of its predicted peak + 4 MB.

  DERMLENS_BINARY=build/release/dermlens tests/e2e/limits/cgroup_test.py [--only explain] [--write docs/memory.md]

For every cell: ask `dermlens plan` for the peak, make a control group (v1 or v2) with that limit and
4 MB more, work in it, and read the kernel's high-water mark. A cell is either `dermlens explain`
with an overlay, again and again, or `dermlens serve` asked by as many clients as it has sessions for
probabilities and the heatmap's numbers: its answers with pictures, and the results that it keeps,
take what the limit leaves, so that no peak can be foretold for them. Fails where a request fails, a
process is killed, the prediction is below the measurement, or more than 10 % above it.

Skipped (77) where no control group can be made; with DERMLENS_RELEASE=1 that is a failure.
DERMLENS_LIMITS_REQUESTS is the number of requests a cell (20; a release asks for 200);
DERMLENS_REFERENCE_DIR adds the cells of EfficientNetV2-S.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("DERMLENS_BINARY", str(ROOT / "build" / "release" / "dermlens"))
PHOTO = ROOT / "samples" / "sample.jpg"
REQUESTS = int(os.environ.get("DERMLENS_LIMITS_REQUESTS", "20"))
MARGIN = 4 << 20
MOST_ABOVE = 0.10


class Group:
    """A control group of its own, with a limit; gone at the end of the scope."""

    def __init__(self, limit):
        self.v2 = not os.path.isdir("/sys/fs/cgroup/memory")
        root = "/sys/fs/cgroup" if self.v2 else "/sys/fs/cgroup/memory"
        self.path = f"{root}/dermlens-test-{os.getpid()}"
        os.mkdir(self.path)
        try:
            self._write("memory.max" if self.v2 else "memory.limit_in_bytes", limit)
        except OSError:
            os.rmdir(self.path)
            raise

    def _write(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def _number(self, name, key):
        try:
            with open(f"{self.path}/{name}", encoding="ascii") as file:
                found = re.search(rf"^{key} (\d+)$", file.read(), re.MULTILINE)
        except OSError:
            return 0
        return int(found.group(1)) if found else 0

    def join(self):
        self._write("cgroup.procs", os.getpid())

    def kills(self):
        return self._number("memory.events" if self.v2 else "memory.oom_control", "oom_kill")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.05)


def plan(model, *options):
    done = subprocess.run([BINARY, "plan", str(model), "--json", *options],
                          capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


class Cell:
    """One configuration: what is predicted, and what happens."""

    def __init__(self, command, model, ways, placement, heatmaps, sessions, cold=False,
                 booked=()):
        def of(all_ways):
            return next(w for w in all_ways
                        if w["placement"] == placement and w["heatmap"] == heatmaps)
        way = of(ways)
        self.command = command
        self.model, self.placement, self.heatmaps = model, placement, heatmaps
        self.sessions, self.cold = sessions, cold
        self.predicted = way["peak_bytes"] + (sessions - 1) * way["session_peak_bytes"]
        self.limit = self.predicted + MARGIN
        if booked:
            # A server starts only where phones' photos would fit, too.
            usual = of(booked)
            self.limit = max(self.limit, MARGIN + usual["reserved_bytes"] +
                             (sessions - 1) * usual["session_reserved_bytes"])
        self.measured, self.answers, self.trouble = 0, 0, []

    def name(self):
        return (f"{self.command}, {self.model.parent.name if self.model.stem == 'model' else self.model.stem}, "
                f"{self.placement}, heatmaps {'on' if self.heatmaps else 'off'}, "
                f"{self.sessions} at once, {'cold' if self.cold else 'warm'}")

    def run(self, warm_cache):
        with Group(self.limit) as group, tempfile.TemporaryDirectory() as folder:
            if self.command == "explain":
                self._explain(group, folder, warm_cache)
            else:
                self._serve(group, folder, warm_cache)
            if group.kills():
                self.trouble.append(f"{group.kills()} killed")

    def _explain(self, group, folder, warm_cache):
        for i in range(REQUESTS):
            cache = os.path.join(folder, str(i)) if self.cold else warm_cache
            process = subprocess.Popen(
                [BINARY, "explain", str(PHOTO), "-o", os.path.join(folder, "o.png"), "--model",
                 str(self.model), "--cache-dir", cache, "--weights", self.placement],
                preexec_fn=group.join, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.measured = max(self.measured, usage.ru_maxrss * 1024)
            if process.returncode != 0:
                self.trouble.append(f"exit {process.returncode}")
                return
            self.answers += 1

    def _serve(self, group, folder, cache):
        log = open(os.path.join(folder, "log"), "w+", encoding="utf-8")
        environment = dict(os.environ, ENABLE_GRADCAM="1" if self.heatmaps else "0")
        server = subprocess.Popen(
            [BINARY, "serve", "--port", "0", "--model", str(self.model), "--cache-dir", cache,
             "--weights", self.placement, "--sessions", str(self.sessions),
             "--result-ttl", "1s"],
            preexec_fn=group.join, stdout=subprocess.DEVNULL, stderr=log, env=environment)
        try:
            self._ask(server, self._port(server, log))
            self._read(server)
        finally:
            server.send_signal(signal.SIGTERM)
            if server.wait(timeout=60) != 0:
                self.trouble.append(f"exit {server.returncode}")
            log.close()

    def _port(self, server, log):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            log.seek(0)
            found = re.search(r"listening on http://[^ ]*:(\d+)/", log.read())
            if found:
                return int(found.group(1))
            time.sleep(0.02)
        log.seek(0)
        raise RuntimeError(f"{self.name()}: the server did not start: {log.read()}")

    def _ask(self, server, port):
        photo = PHOTO.read_bytes()
        path = "/api/v1/explain?output=map" if self.heatmaps else "/api/v1/classify"

        def one(_):
            if server.poll() is not None:
                return "the server is gone"
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            try:
                connection.request("POST", path, photo, {"Content-Type": "image/jpeg"})
                answer = connection.getresponse()
                body = answer.read()
                return None if answer.status == 200 else f"{answer.status} {body[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                return str(error)
            finally:
                connection.close()

        with concurrent.futures.ThreadPoolExecutor(self.sessions) as pool:
            results = list(pool.map(one, range(REQUESTS)))
        self.answers = results.count(None)
        self.trouble += sorted({result for result in results if result})

    def _read(self, server):
        try:
            text = pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
            self.measured = int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) * 1024
        except (OSError, AttributeError):
            self.trouble.append("no reading: the process is gone")

    def judge(self):
        if not self.trouble and self.predicted < self.measured:
            self.trouble.append("more than predicted")
        if not self.trouble and self.predicted > self.measured * (1 + MOST_ABOVE):
            self.trouble.append("less than predicted by over 10 %")
        return not self.trouble

    def row(self):
        ratio = self.predicted / self.measured if self.measured else 0
        return [self.name(), f"{self.predicted / 2**20:.1f}", f"{self.limit / 2**20:.1f}",
                f"{self.measured / 2**20:.1f}", f"{ratio:.3f}", f"{self.answers} of {REQUESTS}",
                "; ".join(self.trouble) or "holds"]


def cells():
    models = [ROOT / "models" / "skin7-b0.onnx"]
    if os.environ.get("DERMLENS_REFERENCE_DIR"):
        models.append(pathlib.Path(os.environ["DERMLENS_REFERENCE_DIR"]) / "efficientnet_v2_s" /
                      "model.onnx")
    for model in models:
        photo = ("--photo", str(PHOTO))
        drawn = plan(model, *photo)["configurations"]
        numbers = plan(model, *photo, "--no-overlay")["configurations"]
        usual = plan(model)["configurations"]
        for placement in ("resident", "mapped", "streamed"):
            yield Cell("explain", model, drawn, placement, True, 1)
            yield Cell("explain", model, drawn, placement, True, 1, cold=True)
            yield Cell("serve", model, numbers, placement, True, 1, booked=usual)
            yield Cell("serve", model, numbers, placement, False, 2, booked=usual)
            yield Cell("serve", model, numbers, placement, True, 4, booked=usual)


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
             f"{'v1' if os.path.isdir('/sys/fs/cgroup/memory') else 'v2'}, "
             f"{REQUESTS} requests a cell.")
    pathlib.Path(path).write_text(
        f"{before}{begin}\n{where}\n\n{table(rows)}\n{end}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", help="the document whose table to replace")
    parser.add_argument("--only", choices=["explain", "serve"], help="only these cells")
    arguments = parser.parse_args()
    try:
        with Group(1 << 30):
            pass
    except OSError as error:
        print(f"skipped: no control group can be made ({error})")
        return 1 if os.environ.get("DERMLENS_RELEASE") == "1" else 77
    warm = tempfile.mkdtemp()
    rows, failed = [], 0
    try:
        for cell in cells():
            if arguments.only not in (None, cell.command):
                continue
            if not cell.cold:
                subprocess.run([BINARY, "pack", str(cell.model), "--cache-dir", warm],
                               capture_output=True, check=True, timeout=120)
            cell.run(warm)
            failed += not cell.judge()
            rows.append(cell.row())
            print(" | ".join(rows[-1]), flush=True)
    finally:
        shutil.rmtree(warm)
    if arguments.write:
        write(arguments.write, rows)
    print(f"{len(rows)} cells, {failed} failed")
    return 1 if failed or (len(rows) < 12 and not arguments.only) else 0


if __name__ == "__main__":
    sys.exit(main())
