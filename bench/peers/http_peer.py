#!/usr/bin/env python3
"""A server under load, ours or the seed's stack: same route, same photo, same client.

  http_peer.py PHOTO.jpg --system seed [--no-gradcam] [--clients 1,4,16] [--runs 20] [--seconds 5]
  http_peer.py PHOTO.jpg --system dermlens --binary build/release/dermlens --model M.onnx
               [--memory-limit 512M] [--weights resident] [--precision fp32]

Posts the photo to /predict_with_gradcam. Memory is summed over the server's processes: a
high-water mark is each process's own, so the sum is an upper bound where there are several.
"""

import argparse
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import measure

HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command_of(arguments, port):
    if arguments.system == "seed":
        return ["/usr/bin/python3", "-m", "gunicorn", "--chdir", str(HERE), "--workers", "1",
                "--threads", "2", "--timeout", "600", "--bind", f"127.0.0.1:{port}",
                "--log-level", "error", "seed_app:app"]
    command = [arguments.binary, "serve", "--port", str(port), "--model", arguments.model,
               "--weights", arguments.weights]
    if arguments.memory_limit:
        command += ["--memory-limit", arguments.memory_limit]
    return command


def family(pid):
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children")
        found += [int(child) for child in children.read_text().split()]
    return found


def memory_of(pid):
    total = {}
    for member in family(pid):
        for key, value in measure.memory(member).items():
            total[key] = total.get(key, 0) + value
    return total


def post(url, body, attempts=200):
    """Posts until the answer is 200; a server that is full says 503 and when to come back."""
    for _ in range(attempts):
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(min(float(error.headers.get("Retry-After", 1)), 1))
    raise SystemExit("the server stayed full")


def wait_until_up(server, port):
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not come up")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", type=pathlib.Path)
    parser.add_argument("--system", choices=("seed", "dermlens"), required=True)
    parser.add_argument("--binary", default=str(HERE.parents[1] / "build/release/dermlens"))
    parser.add_argument("--model")
    parser.add_argument("--memory-limit")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--precision", default="fp32", help="only for the report")
    parser.add_argument("--no-gradcam", dest="gradcam", action="store_false",
                        help="the seed's ENABLE_GRADCAM=0")
    parser.add_argument("--clients", default="1,4,16")
    parser.add_argument("--runs", type=int, default=20, help="one after the other")
    parser.add_argument("--seconds", type=float, default=5, help="for each number of clients")
    arguments = parser.parse_args()
    if arguments.system == "dermlens" and not arguments.model:
        parser.error("--system dermlens needs --model")

    # A runner that is stopped stops us with SIGTERM: the server must not outlive that.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    body = json.dumps({"data": base64.b64encode(arguments.photo.read_bytes()).decode()}).encode()
    port = free_port()
    url = f"http://127.0.0.1:{port}/predict_with_gradcam"
    server = subprocess.Popen(command_of(arguments, port), stdout=subprocess.DEVNULL,
                              stderr=sys.stderr, env=os.environ | {"OMP_NUM_THREADS": "1", "ENABLE_GRADCAM":
                                                "1" if arguments.gradcam else "0"})
    try:
        wait_until_up(server, port)
        idle = memory_of(server.pid)
        _, first = measure.timed(lambda: post(url, body))
        times = [measure.timed(lambda: post(url, body))[1] for _ in range(arguments.runs)]
        rates = measure.throughputs(lambda: post(url, body), arguments.clients,
                                    arguments.seconds)
        configuration = "server"
        if arguments.system == "dermlens":
            configuration += f" {arguments.weights} {arguments.precision}"
        report = measure.report(
            arguments.system, configuration, arguments.gradcam, first, times, memory_of(server.pid),
            idle_anon_bytes=idle["anon_bytes"], requests_per_second=rates,
            slowest_ms=round(max(times), 1))
        print(json.dumps({"results": [report]}))
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
