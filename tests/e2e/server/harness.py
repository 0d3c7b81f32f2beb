"""What the server's tests share: the real binary on a free port, a photo made of nothing but
zlib, and requests with the standard library only."""

import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

BINARY = os.environ.get("DERMLENS_BINARY", "")
SOURCE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
MODEL = os.path.join(SOURCE, "models", "skin7-b0.onnx")
SKIP = 77


def png(width=96, height=80, seed=1):
    """A picture with a gradient and a reddish blob: enough for a network to have an opinion. A
    large one repeats the pixels of a small one."""
    scale = max(1, width // 96)
    columns, lines = width // scale, height // scale
    rows = bytearray()
    for y in range(lines):
        row = bytearray()
        for x in range(columns):
            inside = (x - columns // 2) ** 2 + (y - lines // 2) ** 2 < (columns // 5) ** 2
            noise = (x * 31 + y * 17 + seed * 13) % 23
            pixel = bytes((220 if inside else 190 - y // 2 + noise, 90 if inside else 150 + noise,
                           90 if inside else 130 + noise))
            row += pixel * scale
        rows += (b"\0" + row) * scale
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", columns * scale, lines * scale, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(rows), 1)) + chunk(b"IEND", b""))


PHOTO = png()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Server:
    """`dermlens serve` with the options given, in a control group where one is given; a context
    manager."""

    def __init__(self, *options, env=None, model=MODEL, cache=None, group=None):
        self.folder = tempfile.TemporaryDirectory()
        self.log_path = os.path.join(self.folder.name, "log")
        arguments = [BINARY, "serve", "--port", "0", "--cache-dir",
                     cache or os.path.join(tempfile.gettempdir(), "dermlens-e2e-cache")]
        if model:
            arguments += ["--model", model]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DERMLENS_")
                       and k not in ("PORT", "ENABLE_GRADCAM", "PRELOAD_MODEL")}
        environment.update(env or {})
        self.log_file = open(self.log_path, "wb")
        self.process = subprocess.Popen(arguments + list(options), env=environment,
                                        stdout=subprocess.DEVNULL, stderr=self.log_file,
                                        preexec_fn=group.join if group else None)
        try:
            self.port = self._wait_for_port()
        except RuntimeError:
            self.log_file.close()
            self.folder.cleanup()
            raise

    def _wait_for_port(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            match = re.search(r"listening on http://[^ ]*:(\d+)/", self.log())
            if match:
                return int(match.group(1))
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError("the server did not start: " + self.log())

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def request(self, method, path, body=None, headers=None, timeout=120):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body=b"", content_type="image/png", headers=None):
        return self.request("POST", path, body, {"Content-Type": content_type, **(headers or {})})

    def post_json(self, path, value, headers=None):
        return self.post(path, json.dumps(value).encode(), "application/json", headers)

    def connect(self, timeout=30):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def raw(self, text, timeout=30, half_close=False):
        """Sends bytes as they are and returns all that comes back until the end."""
        with self.connect(timeout) as connection:
            try:
                connection.sendall(text)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return read_all(connection)

    def memory(self):
        return self.get("/memory/").json()

    def status(self, field):
        """A field of /proc/PID/status in kB, such as VmRSS or RssAnon."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        return 0

    def stop(self, expect=0):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.log_file.close()
            log = self.log()
            self.folder.cleanup()
        if expect is not None and code != expect:
            raise AssertionError(f"the server ended with {code}: {log[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            sys.stderr.write(self.log()[-3000:])
        self.stop(0 if kind is None else None)


class Watch:
    """The largest value of a field of /proc/PID/status while it is entered."""

    def __init__(self, server, field):
        self.server, self.field, self.peak_kb = server, field, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self.stop.wait(0.005):
            self.peak_kb = max(self.peak_kb, self.server.status(self.field))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def read_all(connection):
    data = b""
    while True:
        try:
            part = connection.recv(65536)
        except (ConnectionError, socket.timeout):
            return data
        if not part:
            return data
        data += part


def multipart(fields, photo=PHOTO, name="image", filename="photo.png"):
    """(body, content type) of a form with a photo and text fields."""
    boundary = "----dermlens-test"
    out = b""
    for key, value in fields.items():
        out += (f"--{boundary}\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n"
                f"{value}\r\n").encode()
    if photo is not None:
        out += (f"--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; "
                f"filename=\"{filename}\"\r\nContent-Type: image/png\r\n\r\n").encode()
        out += photo + b"\r\n"
    return out + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def wait_for(condition, seconds=20):
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def in_parallel(count, work):
    """Runs work(i) on `count` threads; returns the results in order, exceptions included."""
    results = [None] * count
    def run(i):
        try:
            results[i] = work(i)
        except Exception as error:  # pylint: disable=broad-except
            results[i] = error
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main():
    if not os.path.exists(BINARY):
        print("skipped: DERMLENS_BINARY names no binary")
        sys.exit(SKIP)
    if not os.path.exists(MODEL):
        print("skipped: the shipped model is not there")
        sys.exit(SKIP)
    unittest.main(verbosity=2)
