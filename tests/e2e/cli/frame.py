"""What the command line's tests share: the binary, throw-away folders, and readers of .npy and PNG headers
that need nothing but the standard library."""

import ast
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("DERMLENS_BINARY", str(ROOT / "build/release/dermlens"))
SAMPLE = next((ROOT / "samples").glob("*.jpg"))
FIXTURES = ROOT / "tests/golden/fixtures"
MODEL = ROOT / "models/skin7-b0.onnx"


def png(width, height, pixel=lambda x, y: (x * 5 % 256, y * 3 % 256, (x + y) % 256)):
    """An 8-bit RGB picture."""
    rows = b"".join(
        b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def png_size(data):
    """Width and height of a whole and undamaged PNG."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    at, idat, size = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        (crc,) = struct.unpack(">I", data[at + 8 + length:at + 12 + length])
        assert crc == zlib.crc32(kind + body), f"bad checksum of {kind}"
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        if kind == b"IDAT":
            idat += body
        at += 12 + length
    assert len(zlib.decompress(idat)) == size[1] * (1 + 3 * size[0]), "pixels are missing"
    return size


def read_npy(path):
    """Shape and float32 values."""
    data = pathlib.Path(path).read_bytes()
    assert data[:6] == b"\x93NUMPY"
    (length,) = struct.unpack("<H", data[8:10])
    header = ast.literal_eval(data[10:10 + length].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"]
    body = data[10 + length:]
    return header["shape"], struct.unpack(f"<{len(body) // 4}f", body)


class CliTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # One cache for all: building packs is tested where packs are tested.
        self.cache = os.environ.setdefault(
            "DERMLENS_TEST_CACHE", tempfile.mkdtemp(prefix="dermlens-test-"))

    def environment(self):
        return {"PATH": os.environ["PATH"], "DERMLENS_MODEL": str(MODEL),
                "DERMLENS_CACHE_DIR": self.cache}

    def dermlens(self, *arguments, stdin=b"", env=None, expect=0, expect_any=False):
        """Runs the binary; checks the exit code, and that an error is one line that says so."""
        done = subprocess.run([BINARY, *map(str, arguments)], input=stdin,
                              env={**self.environment(), **(env or {})},
                              capture_output=True, timeout=120, check=False)
        errors = done.stderr.decode()
        self.assertGreaterEqual(done.returncode, 0, f"{arguments}: ended by a signal")
        if expect_any:
            return done
        self.assertEqual(done.returncode, expect, f"{arguments}: {errors}")
        if expect:
            lines = [line for line in errors.splitlines() if line.startswith("dermlens: ")]
            self.assertTrue(lines, f"{arguments}: no error line in {errors!r}")
        return done

    def json(self, *arguments, **options):
        """The one JSON document on stdout."""
        return json.loads(self.dermlens(*arguments, "--json", **options).stdout)

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path
