#!/usr/bin/env python3
"""Peak memory by system, as one SVG: what bench/peers/run.py measured, drawn for the README.

  chart.py build/bench/peers.json docs/images/peers.svg

Needs nothing but the standard library. Colours follow the reader's light or dark setting.
"""

import html
import json
import pathlib
import sys

# What is shown: the key of a row, its name, what stands below it.
OURS = {
    ("dermlens", "streamed int8", True): ("dermlens, streamed, int8", "with Grad-CAM"),
    ("dermlens", "streamed bf16", True): ("dermlens, streamed, bf16", "with Grad-CAM"),
    ("dermlens", "streamed fp32", True): ("dermlens, streamed", "with Grad-CAM"),
    ("dermlens", "resident fp32", True): ("dermlens, resident", "with Grad-CAM"),
    ("dermlens", "server resident fp32", True): ("dermlens serve", "whole server, 1, 4 and 16 clients"),
}
PEERS = {
    ("onnxruntime", "lean", False): ("ONNX Runtime, tuned", "no heatmap"),
    ("onnxruntime", "default", False): ("ONNX Runtime", "no heatmap"),
    ("pytorch", "inference", False): ("PyTorch", "no heatmap"),
    ("pytorch", "autograd", True): ("PyTorch", "with Grad-CAM by autograd"),
    ("seed", "server", True): ("Flask, gunicorn, PyTorch", "the seed's stack, 1, 4 and 16 clients"),
}
LIMIT_MB = 512

WIDTH, LEFT, RIGHT, TOP, STEP, BAR = 880, 284, 96, 96, 46, 22
STYLE = """
  text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328 }
  .back { fill: #ffffff } .title { font-size: 19px; font-weight: 600 }
  .quiet { fill: #59636e; font-size: 12px } .ours { fill: #0f766e } .peer { fill: #c4ccd4 }
  .name { font-weight: 600 } .value { font-weight: 600; font-variant-numeric: tabular-nums }
  .limit { stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 4 4 } .said { fill: #bc4c00; font-size: 12px }
  .base { stroke: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .back { fill: #0d1117 } .quiet { fill: #9198a1 } .ours { fill: #2dd4bf }
    .peer { fill: #4a525c } .limit { stroke: #f0883e } .said { fill: #f0883e } .base { stroke: #656c76 }
  }
"""


def bars(rows):
    """[(name, note, megabytes, whether it is ours)], the smallest first."""
    found = []
    for row in rows:
        key = (row["system"], row["configuration"], row["gradcam"])
        for names, ours in ((OURS, True), (PEERS, False)):
            if key in names:
                found.append((*names[key], row["peak_mb"], ours))
    return sorted(found, key=lambda bar: bar[2])


def draw(found):
    """The SVG's text."""
    if not found:
        raise SystemExit("nothing to draw: none of the systems was measured")
    most = max(LIMIT_MB, max(bar[2] for bar in found))
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + STEP * len(found) + 34
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
           f'role="img" aria-label="Peak memory by system">', f"<style>{STYLE}</style>",
           f'<rect class="back" width="{WIDTH}" height="{height}" rx="10"/>',
           '<text class="title" x="28" y="38">Peak memory, the same EfficientNetV2-S</text>',
           '<text class="quiet" x="28" y="60">VmHWM in MB, as the kernel counts it; one thread a request; less is better</text>']
    bottom = TOP + STEP * len(found) - (STEP - BAR) / 2 + 6
    for index, (name, note, megabytes, ours) in enumerate(found):
        y = TOP + STEP * index
        length = max(2.0, megabytes * scale)
        out += [f'<text class="name" x="{LEFT - 14}" y="{y + 9}" text-anchor="end">{html.escape(name)}</text>',
                f'<text class="quiet" x="{LEFT - 14}" y="{y + 25}" text-anchor="end">{html.escape(note)}</text>',
                f'<rect class="{"ours" if ours else "peer"}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"/>',
                f'<text class="value" x="{LEFT + length + 8:.1f}" y="{y + 16}">{megabytes:.0f}</text>']
    x = LEFT + LIMIT_MB * scale
    out += [f'<line class="base" x1="{LEFT}" x2="{LEFT}" y1="{TOP - 8}" y2="{bottom:.0f}"/>',
            f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom:.0f}"/>',
            f'<text class="said" x="{x:.1f}" y="{bottom + 18:.0f}" text-anchor="middle">512 MB: what the seed could have</text>',
            "</svg>"]
    return "\n".join(out) + "\n"


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    rows = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))["rows"]
    target = pathlib.Path(sys.argv[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(draw(bars(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
