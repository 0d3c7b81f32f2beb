#!/usr/bin/env python3
"""Draws the small pictures that the image tests read, and what Pillow, matplotlib and OpenCV make of
them. Needs pillow, numpy, matplotlib, opencv-python-headless; versions.txt records those used.

    python3 tests/golden/image/make_images.py
"""
import io
import pathlib
import struct
import zlib

import cv2
import matplotlib
import numpy as np
import PIL
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
random = np.random.default_rng(7)


def scene(width, height):
    """Smooth colours, a few edges and a little noise: something that every filter shows in."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 128 + 100 * np.sin(x / 7.0) * np.cos(y / 11.0)
    green = 255.0 * x / max(1, width - 1)
    blue = 255.0 * y / max(1, height - 1)
    picture = np.stack([red, green, blue], axis=-1)
    picture[(x // 9 + y // 13) % 5 == 0] *= 0.4
    picture += random.normal(0, 6, picture.shape)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def save_npy(name, array):
    np.save(HERE / name, np.ascontiguousarray(array))


def resize_goldens():
    filters = {"lanczos": Image.LANCZOS, "bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}
    cases = [((97, 61), (30, 30)), ((23, 31), (64, 45)), ((120, 7), (17, 40)), ((5, 80), (5, 33))]
    for source, target in cases:
        picture = scene(*source)
        stem = f"resize_{source[0]}x{source[1]}"
        save_npy(f"{stem}.npy", np.asarray(picture))
        for name, method in filters.items():
            save_npy(f"{stem}_to_{target[0]}x{target[1]}_{name}.npy",
                     np.asarray(picture.resize(target, method)))


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def orientation_files():
    """upright.png as it must look, and oN.* stored so that EXIF N turns it upright."""
    upright = scene(48, 32)
    save_npy("upright.npy", np.asarray(upright))
    undo = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
            5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}
    for orientation, method in undo.items():
        stored = upright if method is None else upright.transpose(method)
        stored.save(HERE / f"o{orientation}.png", exif=exif_with(orientation))
        stored.save(HERE / f"o{orientation}.jpg", exif=exif_with(orientation), quality=98, subsampling=0)
        stored.save(HERE / f"o{orientation}.webp", exif=exif_with(orientation), lossless=True, exact=True)


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def write_png(name, samples, bits, colour, interlace=0, extra=b"", palette=b""):
    """samples: height x width x channels integers of `bits` bits; unfiltered rows."""
    height, width = samples.shape[:2]

    def pack(rows):
        out = b""
        for row in rows:
            flat = row.reshape(-1)
            if bits == 16:
                packed = flat.astype(">u2").tobytes()
            elif bits == 8:
                packed = flat.astype(np.uint8).tobytes()
            else:
                per = 8 // bits
                flat = np.concatenate([flat, np.zeros(-len(flat) % per, dtype=flat.dtype)])
                packed = bytes(sum(int(v) << (8 - bits * (i + 1)) for i, v in enumerate(group))
                               for group in flat.reshape(-1, per))
            out += b"\0" + packed
        return out

    if interlace:
        parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7]
        data = b"".join(pack(part) for part in parts if part.size)
    else:
        data = pack(samples)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    file = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    if palette:
        file += png_chunk(b"PLTE", palette)
    file += extra + png_chunk(b"IDAT", zlib.compress(data, 9)) + png_chunk(b"IEND", b"")
    (HERE / name).write_bytes(file)


def over_white(rgb, alpha):
    value = rgb * alpha[..., None] + (1 - alpha[..., None])
    return np.clip(np.floor(value * 255 + 0.5), 0, 255).astype(np.uint8)


def png_kinds():
    """Every colour type and depth, plain and interlaced, with what it must look like over white."""
    width, height = 13, 11
    for colour, channels in ((0, 1), (2, 3), (3, 1), (4, 2), (6, 4)):
        for bits in (1, 2, 4, 8, 16):
            if (colour in (2, 4, 6) and bits < 8) or (colour == 3 and bits == 16):
                continue
            top = (1 << bits) - 1
            samples = random.integers(0, top + 1, (height, width, channels))
            palette = b""
            extra = b""
            if colour == 3:
                entries = random.integers(0, 256, (top + 1, 3))
                opacity = random.integers(0, 256, top + 1)
                palette = entries.astype(np.uint8).tobytes()
                extra = png_chunk(b"tRNS", opacity.astype(np.uint8).tobytes())
                rgb = entries[samples[..., 0]] / 255.0
                alpha = opacity[samples[..., 0]] / 255.0
            else:
                rgb = samples[..., :3] if channels >= 3 else np.repeat(samples[..., :1], 3, axis=-1)
                rgb = rgb / top
                alpha = samples[..., -1] / top if channels in (2, 4) else np.ones((height, width))
            if colour == 0 and bits < 16:
                extra = png_chunk(b"tRNS", struct.pack(">H", top // 2))
                alpha = np.where(samples[..., 0] == top // 2, 0.0, 1.0)
            stem = f"png_c{colour}_b{bits}"
            write_png(f"{stem}.png", samples, bits, colour, 0, extra, palette)
            write_png(f"{stem}_i.png", samples, bits, colour, 1, extra, palette)
            save_npy(f"{stem}.npy", over_white(rgb, alpha))


def adobe_cmyk(picture):
    """Inverted inks, as Adobe writes them; Pillow does so and reads it back."""
    rgb = np.asarray(picture).astype(np.int64)
    black = 255 - rgb.max(axis=-1)
    inks = np.stack([255 - rgb[..., i] - black for i in range(3)] + [black], axis=-1)
    return Image.fromarray(inks.astype(np.uint8), "CMYK")


def other_kinds():
    picture = scene(45, 37)
    kinds = {
        "baseline.jpg": {"quality": 90}, "baseline_444.jpg": {"quality": 90, "subsampling": 0},
        "baseline_422.jpg": {"quality": 90, "subsampling": 1},
        "restarts.jpg": {"quality": 90, "restart_marker_blocks": 3},
        "progressive.jpg": {"quality": 90, "progressive": True},
        "lossy.webp": {"quality": 90, "method": 4}, "lossless.webp": {"lossless": True},
    }
    for name, options in kinds.items():
        picture.save(HERE / name, **options)
    picture.convert("L").save(HERE / "gray.jpg", quality=90)
    adobe_cmyk(picture).save(HERE / "cmyk.jpg", quality=95)
    translucent = picture.convert("RGBA")
    translucent.putalpha(Image.linear_gradient("L").resize(picture.size))
    translucent.save(HERE / "alpha_lossy.webp", quality=90)
    translucent.save(HERE / "alpha_lossless.webp", lossless=True, exact=True)
    translucent.save(HERE / "alpha.png")
    picture.save(HERE / "one_frame.png", save_all=True, append_images=[scene(45, 37)])
    picture.save(HERE / "animated.webp", save_all=True, append_images=[scene(45, 37)])
    picture.save(HERE / "foreign.gif")
    scene(1, 1).save(HERE / "one_pixel.jpg")
    scene(1, 1).save(HERE / "one_pixel.png")
    scene(1, 1).save(HERE / "one_pixel.webp")
    for name in ("baseline.jpg", "baseline_444.jpg", "baseline_422.jpg", "restarts.jpg", "progressive.jpg",
                 "gray.jpg", "cmyk.jpg", "lossy.webp", "lossless.webp"):
        save_npy(name.replace(".", "_") + ".npy", np.asarray(Image.open(HERE / name).convert("RGB")))
    for name in ("alpha_lossy.webp", "alpha_lossless.webp", "alpha.png"):
        image = Image.open(HERE / name)
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        save_npy(name.replace(".", "_") + ".npy", np.asarray(white))


def colour_goldens():
    for name in ("jet", "turbo", "viridis"):
        save_npy(f"colormap_{name}.npy", matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3])
    grid = random.random((3, 4)).astype(np.float32)
    save_npy("heat.npy", grid)
    save_npy("heat_enlarged.npy", cv2.resize(grid, (37, 29), interpolation=cv2.INTER_LINEAR))


resize_goldens()
orientation_files()
png_kinds()
other_kinds()
colour_goldens()
(HERE / "versions.txt").write_text(
    f"pillow {PIL.__version__}, numpy {np.__version__}, matplotlib {matplotlib.__version__}, "
    f"opencv {cv2.__version__}; seed 7\n")
