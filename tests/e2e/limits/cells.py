"""What runs in a control group, what was predicted for it, and what came of it."""

import concurrent.futures
import contextlib
import glob
import http.client
import json
import os
import pathlib
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from control_group import Group, forget  # pylint: disable=wrong-import-position

MB = 1 << 20
MARGIN = 4 * MB
MOST_ABOVE = 0.10
MOST_IN_STEP = 4  # requests at once whose peaks meet where they begin together


def noise():
    """A PNG of noise, 1024 x 768: pictures made of it are as long as pictures can be."""
    source = random.Random(1)
    rows = b"".join(b"\0" + source.randbytes(3 * 1024) for _ in range(768))

    def chunk(name, data):
        return (struct.pack(">I", len(data)) + name + data +
                struct.pack(">I", zlib.crc32(name + data)))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1024, 768, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))


NOISE = noise()
UPLOAD = str(len(NOISE))  # the largest that the servers here take


def ask_plan(binary, model, *options):
    """The ways of `dermlens plan`."""
    done = subprocess.run([binary, "plan", str(model), "--json", *options], capture_output=True,
                          text=True, timeout=120, check=True)
    return json.loads(done.stdout)["configurations"]


def find_way(ways, weights, heatmaps):
    return next(w for w in ways if w["placement"] == weights and w["heatmap"] == heatmaps)


def peak_of(way, sessions):
    shared = sum(way["shared_bytes"].values())
    return max(way["loading_peak_bytes"], shared + sessions * way["session_peak_bytes"])


def written(log):
    """What is in a file that another process writes to: its place there is ours, and stays."""
    return os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace")


class Cell:
    """One configuration. `trouble` is empty where it holds."""

    sessions = 1
    compared = True  # the prediction with what was measured, not only with the limit

    def __init__(self, binary, model, path, weights, cold):
        self.binary, self.model, self.path = binary, model, path
        self.weights, self.cold = weights, cold
        self.predicted = self.limit = self.measured = 0
        self.requests = self.asked = self.answers = 0
        self.trouble = []

    def run(self, requests, cache):
        # Twenty waves of several at once, so that their peaks meet at least once.
        self.requests = max(requests, 20 * min(self.sessions, 4))
        try:
            self.prepare()
            self.make_cold(cache)
            with Group(self.limit) as group, tempfile.TemporaryDirectory() as folder:
                self.work(group, folder, cache)
                if group.kills():
                    self.trouble.append(f"{group.kills()} killed")
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            self.trouble.append(str(error))
        if not self.trouble and self.predicted < self.measured:
            self.trouble.append("more than predicted")
        if not self.trouble and self.is_loose():
            self.trouble.append("over 10 % less than predicted")

    def is_loose(self):
        return self.compared and self.predicted > self.measured * (1 + MOST_ABOVE)

    def make_cold(self, cache):
        if self.cold:
            forget(self.path, *glob.glob(os.path.join(cache, "*.pack")))

    def row(self):
        ratio = self.predicted / self.measured if self.measured else 0
        return [self.name(), f"{self.predicted / MB:.1f}", f"{self.limit / MB:.1f}",
                f"{self.measured / MB:.1f}", f"{ratio:.3f}" if self.compared else "-",
                f"{self.answers} of {self.asked}",
                "; ".join(self.trouble) or "holds"]


@contextlib.contextmanager
def noise_file():
    """The path of a file of NOISE."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(NOISE)
        file.flush()
        yield file.name


class Explained(Cell):
    """`dermlens explain` with an overlay, each time in a fresh process."""

    def name(self):
        return f"explain, {self.model}, {self.weights}, {'cold' if self.cold else 'warm'}"

    def prepare(self):
        with noise_file() as photo:
            ways = ask_plan(self.binary, self.path, "--photo", photo)
        self.predicted = peak_of(find_way(ways, self.weights, True), 1)
        self.limit = self.predicted + MARGIN

    def work(self, group, folder, cache):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        photo = os.path.join(folder, "noise.png")
        pathlib.Path(photo).write_bytes(NOISE)
        for _ in range(self.requests):
            self.make_cold(cache)  # each process reads the disk, not only the first
            self.asked += 1
            process = subprocess.Popen(
                [self.binary, "explain", photo, "-o", os.path.join(folder, "o.png"), "--json",
                 "--model", str(self.path), "--cache-dir", cache, "--weights", self.weights],
                preexec_fn=group.join, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            output = process.stdout.read()
            process.stdout.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise RuntimeError(f"exit {process.returncode}")
            # The kernel counts from the fork on, when the process was still this script.
            said = json.loads(output)["memory"]["peak_bytes"]
            self.measured = max(self.measured, said,
                                usage.ru_maxrss * 1024 if usage.ru_maxrss > own else 0)
            self.answers += 1


class Served(Cell):
    """`dermlens serve`, asked by as many clients at once as it has sessions."""

    def __init__(self, binary, model, path, weights, heatmaps, sessions, cold, limit):
        super().__init__(binary, model, path, weights, cold)
        self.heatmaps, self.sessions, self.promised = heatmaps, sessions, limit
        # A request is at its peak when its overlay is all but encoded. Twenty never are at the same
        # moment: they ask for the map alone, and the prediction is compared without the pictures.
        self.pictures = sessions <= MOST_IN_STEP

    def name(self):
        limit = f" under {self.promised // MB} MB" if self.promised else ""
        return (f"serve{limit}, {self.model}, {self.weights}, heatmaps "
                f"{'on' if self.heatmaps else 'off'}, {self.sessions} at once, "
                f"{'cold' if self.cold else 'warm'}")

    def pictures_left_out(self, weights):
        """Bytes that are predicted for pictures that nobody asks for here."""
        if self.pictures:
            return 0
        planned = ask_plan(self.binary, self.path, "--upload", UPLOAD)
        with noise_file() as photo:
            asked = ask_plan(self.binary, self.path, "--photo", photo, "--no-overlay")
        with_them, without = (find_way(ways, weights, self.heatmaps)["session_peak_bytes"]
                              for ways in (planned, asked))
        return self.sessions * (with_them - without)

    def prepare(self):
        self.limit = self.promised
        if self.limit is None:
            self.limit = self.own_prediction() + MARGIN

    def own_prediction(self):
        """The server's, where it has room for all."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
            server = self.start(log, ["--no-cache"])
            try:
                self.find_port(server, log)
                time.sleep(0.2)
                found = re.search(r"the plan: .*: peak ([\d.]+) MB", written(log))
            finally:
                server.kill()
                server.wait()
        if not found:
            raise RuntimeError("the server does not say what it plans")
        return int(float(found.group(1)) * MB)

    def start(self, log, options, group=None):
        return subprocess.Popen(
            [self.binary, "serve", "--port", "0", "--model", str(self.path), "--weights",
             self.weights, "--sessions", str(self.sessions), "--max-upload", UPLOAD, *options],
            preexec_fn=group.join if group else None, stdout=subprocess.DEVNULL, stderr=log,
            env=dict(os.environ, ENABLE_GRADCAM="1" if self.heatmaps else "0"))

    def work(self, group, folder, cache):
        with open(os.path.join(folder, "log"), "w+", encoding="utf-8") as log:
            server = self.start(log, ["--cache-dir", cache], group)
            try:
                port = self.find_port(server, log)
                self.ask_all(server, port)
                self.read(server, port)
                # Four peaks meet by chance: what was not seen in so many waves may be in more.
                while not self.trouble and self.is_loose() and self.asked < 4 * self.requests:
                    self.ask_all(server, port)
                    self.read(server, port)
            finally:
                server.send_signal(signal.SIGTERM)
                if server.wait(timeout=60) != 0:
                    self.trouble.append(f"exit {server.returncode}")

    @staticmethod
    def find_port(server, log):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            found = re.search(r"listening on http://[^ ]*:(\d+)/", written(log))
            if found:
                return int(found.group(1))
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start: {written(log)}")

    def ask_all(self, server, port):
        # What a server plans for: the photo as its page shows it and, with heatmaps, the overlay, as
        # long as one can be: the photo's noise, not covered by colours.
        pictures = "overlay,photo" if self.heatmaps else "photo"
        path = (f"/api/v1/{'explain' if self.heatmaps else 'classify'}?keep=0&alpha=0&output=map"
                + ("," + pictures if self.pictures else ""))
        together = threading.Barrier(self.sessions)

        def one(number):
            if server.poll() is not None:
                together.abort()
                return "the server is gone"
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            try:
                connection.putrequest("POST", path)
                connection.putheader("Content-Type", "image/png")
                connection.putheader("Content-Length", UPLOAD)
                connection.endheaders(NOISE[:-1])
                # In waves: all that are at work at once begin, and come to their peaks, together.
                if number < self.requests // self.sessions * self.sessions:
                    together.wait(timeout=120)
                connection.send(NOISE[-1:])
                answer = connection.getresponse()
                body = answer.read()
                return None if answer.status == 200 else f"{answer.status} {body[:200]!r}"
            except (OSError, http.client.HTTPException, threading.BrokenBarrierError) as error:
                together.abort()  # nobody waits for one that has failed
                return repr(error)
            finally:
                connection.close()

        with concurrent.futures.ThreadPoolExecutor(self.sessions) as pool:
            results = list(pool.map(one, range(self.requests)))
        self.asked += self.requests
        self.answers += results.count(None)
        self.trouble += sorted({result for result in results if result})[:3]

    def read(self, server, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/memory/")
        report = json.loads(connection.getresponse().read())
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()
        connection.close()
        refused = re.search(r"^dermlens_memory_refused_total (\d+)", metrics, re.MULTILINE)
        if not refused or int(refused.group(1)):
            self.trouble.append(f"{refused.group(1) if refused else '?'} reservations refused")
        if report["sessions"]["total"] != self.sessions:
            self.trouble.append(f"{report['sessions']['total']} sessions")
        chosen = report["plan"]["placement"]
        if self.weights not in ("auto", chosen):
            self.trouble.append(f"{chosen} weights")
        self.predicted = report["plan"]["predicted_peak_bytes"] - self.pictures_left_out(chosen)
        if not self.promised and self.limit < self.predicted + MARGIN // 2:
            self.trouble.append("the limit is less than was meant")
        text = pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
        self.measured = int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) * 1024


class Crowded(Served):
    """Many at once that ask for all that is planned for. Their peaks never meet, so that the
    prediction is an upper bound that nothing comes near; the limit must hold all the same."""

    compared = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.pictures = True

    def name(self):
        return super().name() + ", with overlays"
