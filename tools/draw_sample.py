#!/usr/bin/env python3
"""Draws samples/sample.jpg: skin-like texture with a few reddish round spots, made of noise and circles.
No photo of anybody went into it. Needs numpy and Pillow; the same bytes every time for one version of them.

    python3 tools/draw_sample.py [OUT.jpg]
"""
import pathlib
import sys

import numpy as np
from PIL import Image

WIDTH, HEIGHT, SEED = 1200, 900, 11
SKIN = np.array([214.0, 166.0, 142.0])
SPOTS = [  # x, y, radius, strength
    (430, 380, 92, 1.00), (700, 520, 118, 0.95), (610, 250, 54, 0.80), (880, 330, 66, 0.85),
    (320, 610, 48, 0.70), (505, 690, 38, 0.65), (960, 640, 44, 0.70),
]


def smooth_noise(random, cell):
    """Noise whose features are about `cell` pixels wide, in -1 to 1."""
    shape = (HEIGHT // cell + 3, WIDTH // cell + 3)
    coarse = Image.fromarray(random.uniform(-1, 1, shape).astype(np.float32))
    return np.asarray(coarse.resize((WIDTH, HEIGHT), Image.BICUBIC))


def lines(random, angle, spacing):
    """The fine furrows of skin: wobbling parallel lines, dark in their middle."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    along = x * np.cos(angle) + y * np.sin(angle)
    wobble = smooth_noise(random, 40) * 6 + smooth_noise(random, 14) * 2.5
    return np.abs(np.sin((along + wobble) * np.pi / spacing)) ** 0.35


def draw():
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    skin = np.broadcast_to(SKIN, (HEIGHT, WIDTH, 3)).copy()

    blotches = smooth_noise(random, 220) * 7 + smooth_noise(random, 70) * 4
    skin += blotches[..., None] * np.array([0.6, 1.0, 1.0])
    furrows = (lines(random, 0.5, 17) + lines(random, 2.1, 19) + lines(random, 1.35, 23)) / 3
    skin *= (0.90 + 0.11 * furrows)[..., None]
    pores = np.clip(smooth_noise(random, 5) - 0.55, 0, 1) * 26
    skin -= pores[..., None] * np.array([0.8, 1.0, 1.0])

    for spot_x, spot_y, radius, strength in SPOTS:
        angle = np.arctan2(y - spot_y, x - spot_x)
        edge = 1 + 0.09 * np.sin(3 * angle + spot_x) + 0.05 * np.sin(7 * angle + spot_y)
        distance = np.hypot(x - spot_x, y - spot_y) / (radius * edge)
        distance += smooth_noise(random, 18) * 0.07
        inside = 1 / (1 + np.exp((distance - 1) * 9))
        halo = np.exp(-np.clip(distance - 0.8, 0, None) ** 2 * 3)
        scales = np.clip(smooth_noise(random, 9) * smooth_noise(random, 23), 0, 1) * inside
        colour = np.array([188.0, 84.0, 78.0]) + smooth_noise(random, 12)[..., None] * 10
        weight = (0.62 * inside + 0.12 * halo)[..., None] * strength
        skin = skin * (1 - weight) + colour * weight
        skin += (scales * 70 * strength)[..., None]
        shine = np.exp(-((x - spot_x + radius * 0.3) ** 2 + (y - spot_y + radius * 0.35) ** 2)
                       / (radius * 0.42) ** 2)
        skin += (shine * 16 * strength)[..., None]

    light = 1.06 - 0.20 * np.hypot((x - WIDTH * 0.42) / WIDTH, (y - HEIGHT * 0.38) / HEIGHT)
    skin = skin * light[..., None] + random.normal(0, 2.2, skin.shape)
    return Image.fromarray(np.clip(skin, 0, 255).astype(np.uint8))


def main():
    default = pathlib.Path(__file__).resolve().parent.parent / "samples" / "sample.jpg"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    out.parent.mkdir(exist_ok=True)
    draw().save(out, quality=88)
    print(out)


if __name__ == "__main__":
    main()
