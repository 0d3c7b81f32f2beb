#!/usr/bin/env python3
"""Soak: thousands of mixed requests against the real server; its anonymous memory must not creep.

  DERMLENS_BINARY=build/release/dermlens tests/soak/run.py [--requests 10000] [--json]

The law: over the last four fifths, the least-squares slope of RssAnon is at most 20 bytes a request,
and descriptors and threads are what they were. Every route of the server's own document must have
answered; it keeps a history and wants a token. A short run cannot measure 20 bytes (a page is 4096);
there, with --short, models are reloaded only at the start, and the law is broken where the slope is
above 20 with 99 % certainty, the heap's own ups and downs taken into account; the run is void where
those could hide 2 KiB a request.
"""

import argparse
import http.client
import itertools
import json
import os
import pathlib
import random
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e" / "server")]
import harness  # noqa: E402
import mix  # noqa: E402
import slope  # noqa: E402

MOST_BYTES = 20
MOST_NOISE = 2048
WANDER = 96 << 10  # the heap's level goes up and down by so much over thousands of requests
CLIENTS = 4
SLOW = 20  # seconds, for an answer to be a fault
EVERY_KIND = 300  # requests until each kind of them was sent at least once


class Client:
    """One kept connection, opened again where the server has closed it."""

    def __init__(self, port, routes, faults, turns):
        self.port, self.routes, self.faults, self.turns = port, routes, faults, turns
        self.connection = None

    def send(self, ask, retry=True):
        """The answer's body; None where it is wrong."""
        start, fresh = time.monotonic(), self.connection is None
        if fresh:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = ask.headers if "Cookie" in ask.headers else {**mix.BEARER, **ask.headers}
        try:
            self.connection.request(ask.method, ask.path, ask.body or None, headers)
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if retry and not fresh:
                return self.send(ask, retry=False)
            self.faults.append(f"{ask.method} {ask.path}: {error!r}")
            return None
        if time.monotonic() - start > SLOW:
            self.faults.append(f"{ask.method} {ask.path}: {time.monotonic() - start:.0f} s")
        if answer.will_close:
            self.close()
        if answer.status not in ask.right:
            self.faults.append(f"{ask.method} {ask.path}: {answer.status} {body[:200]!r}")
            return None
        if answer.status < 400:
            self.routes.answered(ask.method, ask.path)
        for more in self.following(ask, answer, body):
            self.send(more)
        return body

    def following(self, ask, answer, body):
        """What an answer leads to. A result that is kept is somebody's, not a leak: its owner
        deletes it; who logs in logs out."""
        if answer.status == 302:
            return mix.visits(answer.headers["Location"].split("/")[2], next(self.turns))
        if ask.path.startswith("/api/v1/explain?ticket") and answer.status == 200:
            return mix.visits(json.loads(body)["id"], next(self.turns))
        if ask.path == "/login" and answer.status == 303:
            return mix.stay(answer.headers["Set-Cookie"], self.port)
        return []

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Soak:
    def __init__(self, server, seed):
        self.server, self.random, self.faults = server, random.Random(seed), []
        get = lambda path: server.get(path, mix.BEARER).json()
        self.routes, turns = mix.Routes(get("/openapi.json")), itertools.count()
        self.clients = [Client(server.port, self.routes, self.faults, turns)
                        for _ in range(CLIENTS)]
        model = get("/api/v1/models")["models"][0]
        tensor = get("/v2/models/" + model["name"])["inputs"][0]
        self.mix = mix.Mix(model["name"], model["version"], harness.PHOTO,
                           (tensor["name"], tensor["shape"]))

    def round(self, number):
        asks = self.mix.round(number)
        self.random.shuffle(asks)
        todo, lock = list(asks), threading.Lock()

        def work(client):
            while True:
                with lock:
                    if not todo:
                        return
                    ask = todo.pop()
                if isinstance(ask, mix.Abort):
                    if ask.run(self.server.port).startswith(b"HTTP/1.1 200 ") and ask.route:
                        self.routes.answered(*ask.route)
                else:
                    client.send(ask)

        threads = [threading.Thread(target=work, args=(client,)) for client in self.clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(asks)

    def reload(self):
        for what in ("unload", "load"):
            self.clients[0].send(mix.Ask(
                "POST", f"/v2/repository/models/{self.mix.model}/{what}", b"{}",
                "application/json"))

    def settle(self):
        """Waits until nothing runs and those who left are gone. Each client holds one connection
        then, so that a count of descriptors means something."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for client in self.clients:
                client.send(mix.Ask("GET", "/health/"))
            body = self.clients[0].send(mix.Ask("GET", "/memory/"))
            if body is None:
                return
            memory = json.loads(body)
            idle = memory["sessions"]["busy"] == 0 and memory["queue"]["depth"] == 0
            if idle and memory["connections"] <= CLIENTS and memory["results_held"] == 0:
                return
            time.sleep(0.02)
        self.faults.append("the server does not come to rest in 30 s: " + json.dumps(memory))

    def sample(self):
        self.settle()
        # A connection that is no longer counted may still be on its way out.
        folder = f"/proc/{self.server.process.pid}/fd"
        descriptors = min(len(os.listdir(folder)) for _ in range(10) if time.sleep(0.002) is None)
        anon = self.server.status("RssAnon") * 1024
        return anon, descriptors, self.server.status("Threads")


def serve(folder, memory_limit):
    """A server that has all routes: it keeps a history, and there is something to log in with."""
    tokens = pathlib.Path(folder, "tokens")
    tokens.write_text(mix.TOKEN + "\n", encoding="ascii")
    return harness.Server("--memory-limit", memory_limit, "--api-token-file", str(tokens),
                          "--history", str(pathlib.Path(folder, "history.db")))


def run(options):
    report = {"requests": 0, "wanted": options.requests}
    warm_up = max(options.requests // 5, EVERY_KIND)
    samples = []
    with tempfile.TemporaryDirectory() as folder, serve(folder, options.memory_limit) as server:
        soak = Soak(server, options.seed)
        number, since_reload = 0, 0
        while len(soak.faults) < 20:
            if report["requests"] >= report["wanted"]:
                # What looks like a creep in a short run is asked for longer: one that is goes on,
                # while the heap's wandering counts for less.
                judge(report, late_of(samples, warm_up), soak.faults, options.short)
                if not (options.short and report.get("creeps") and
                        report["wanted"] < 3 * options.requests):
                    break
                report["wanted"] += options.requests
            # A load places its blocks anew; a short run has no room for such steps but at first.
            if since_reload >= options.reload_every and (
                    not options.short or report["requests"] < EVERY_KIND // 2):
                soak.reload()
                soak.round(number)
                since_reload = 0
            done = soak.round(number)
            number, since_reload = number + 1, since_reload + done
            report["requests"] += done
            samples.append((report["requests"], *soak.sample()))
            if sys.stderr.isatty():
                print(f"\r{report['requests']} requests, {samples[-1][1] >> 10} KiB anonymous",
                      end="", file=sys.stderr)
        report["peak_mb"] = server.status("VmHWM") / 1024
    judge(report, late_of(samples, warm_up), soak.faults, options.short)
    if soak.routes.missing and report["requests"] >= EVERY_KIND:
        report["broken"].append("not part of the mix: " + ", ".join(
            f"{method} {path}" for method, path in sorted(soak.routes.missing)))
    report["samples"] = samples
    return report


def late_of(samples, warm_up):
    return [sample for sample in samples if sample[0] > warm_up]


def judge(report, late, faults, short):
    report.update(faults=faults[:20], broken=[])
    if faults:
        report["broken"].append(f"{len(faults)} wrong answers, the first: {faults[0]}")
    if len(late) < 5:
        report["broken"].append(f"too few samples after the warm-up ({len(late)}, 5)")
        return
    line = slope.Line([s[0] for s in late], [s[1] for s in late])
    low, high = line.bounds()
    # A short run may see nothing but one of the heap's ups.
    margin = max(high - line.slope, WANDER / (late[-1][0] - late[0][0]))
    low, high = line.slope - margin, line.slope + margin
    report.update(slope=line.slope, low=low, high=high,
                  descriptors=sorted({s[2] for s in late}), threads=sorted({s[3] for s in late}),
                  first_anon_bytes=late[0][1], last_anon_bytes=late[-1][1])
    broken = report["broken"]
    report["creeps"] = (low if short else line.slope) > MOST_BYTES
    if report["creeps"]:
        broken.append(f"anonymous memory creeps by {line.slope:.0f} bytes a request")
    if short and margin > MOST_NOISE:
        broken.append(f"too noisy to say anything (+- {margin:.0f} bytes a request)")
    for name in ("descriptors", "threads"):
        if len(report[name]) > 1:
            broken.append(f"{name} are not constant: {report[name]}")


def print_human(report):
    print(f"{report['requests']} requests in {report['seconds']:.0f} s, peak "
          f"{report['peak_mb']:.1f} MB")
    if "slope" in report:
        print(f"anonymous {report['first_anon_bytes'] / 2**20:.2f} -> "
              f"{report['last_anon_bytes'] / 2**20:.2f} MB after the warm-up, slope "
              f"{report['slope']:.1f} bytes a request (99 %: {report['low']:.1f} to "
              f"{report['high']:.1f}), descriptors {report['descriptors']}, threads "
              f"{report['threads']}")
    for reason in report["broken"]:
        print("BROKEN: " + reason)
    print("verdict: " + ("FAILED" if report["broken"] else "passed"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10000)
    parser.add_argument("--reload-every", type=int, default=100, help="requests between two loads")
    parser.add_argument("--memory-limit", default="512M")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="the law with its uncertainty")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    if not os.path.exists(harness.BINARY) or not os.path.exists(harness.MODEL):
        print("skipped: DERMLENS_BINARY names no binary, or the shipped model is not there")
        sys.exit(harness.SKIP)
    start = time.monotonic()
    report = run(options)
    report["seconds"] = time.monotonic() - start
    if options.json:
        print(json.dumps(report))
    else:
        print_human(report)
    sys.exit(1 if report["broken"] else 0)


if __name__ == "__main__":
    main()
