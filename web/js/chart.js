// A stacked area of the last minutes with a line for the limit, as SVG that stretches to its place.
// Words and figures round it are HTML, so that they are never stretched.
import { h, s } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 200;

// `samples` are {at (ms), parts: [bytes, ...]}, oldest first; `top` is the value of the upper edge.
export function areaChart({ samples, spanMs, top, limit, label }) {
  const now = samples.at(-1)?.at ?? 0;
  const x = (at) => WIDTH - ((now - at) / spanMs) * WIDTH;
  const y = (value) => HEIGHT - (Math.min(value, top) / top) * HEIGHT;
  const svg = s("svg", {
    class: "chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": label,
  });
  for (const part of [0.25, 0.5, 0.75])
    svg.append(
      s("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part }),
    );
  const sums = samples.map(({ at, parts }) => ({
    at,
    sums: parts.map((_, i) => parts.slice(0, i + 1).reduce((a, b) => a + b, 0)),
  }));
  const layers = samples[0]?.parts.length ?? 0;
  for (let layer = layers - 1; layer >= 0; --layer) {
    const upper = sums.map(
      ({ at, sums: values }) => `${x(at).toFixed(1)},${y(values[layer]).toFixed(1)}`,
    );
    const lower = sums
      .map(
        ({ at, sums: values }) =>
          `${x(at).toFixed(1)},${y(layer ? values[layer - 1] : 0).toFixed(1)}`,
      )
      .reverse();
    svg.append(
      s("polygon", { class: `series-${layer + 1}`, points: [...upper, ...lower].join(" ") }),
    );
  }
  if (limit === top)
    svg.append(s("line", { class: "limit", x1: 0, x2: WIDTH, y1: y(limit), y2: y(limit) }));
  return svg;
}

// One bar whose pieces are `parts`: {key, bytes}; what is left of `whole` stays empty.
export function stackedBar(parts, whole) {
  const svg = s("svg", {
    class: "strip",
    viewBox: "0 0 1000 10",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  let at = 0;
  for (const { key, bytes } of parts) {
    const width = whole > 0 ? (bytes / whole) * 1000 : 0;
    svg.append(s("rect", { class: `category-${key}`, x: at, y: 0, width, height: 10 }));
    at += width;
  }
  return svg;
}

export const swatch = (name) => h("span", { class: `swatch ${name}`, "aria-hidden": "true" });
