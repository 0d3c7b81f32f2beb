// Draws the raw grid of an explanation: stretched bilinearly over the whole photo, coloured.
import { palette } from "./colormaps.js";

// For each of `to` pixels: the two of `from` cells it lies between, and how far (cell centres,
// edges held: what the server does).
function steps(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const low = Math.floor(at);
    return { low, high: Math.min(from - 1, low + 1), part: at - low };
  });
}

// `grid` is [rows, columns], `map` row-major, 0..1; values that are no numbers count as 0.
export function drawMap(canvas, grid, map, colormap) {
  const [rows, columns] = grid;
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const colours = palette(colormap);
  const value = (row, column) => map[row * columns + column] || 0;
  const across = steps(columns, width);
  let out = 0;
  for (const row of steps(rows, height)) {
    const line = Array.from(
      { length: columns },
      (_, column) => value(row.low, column) * (1 - row.part) + value(row.high, column) * row.part,
    );
    for (const { low, high, part } of across) {
      const level = line[low] * (1 - part) + line[high] * part;
      const index = Math.round(Math.min(1, Math.max(0, level)) * 255) * 3;
      picture.data[out] = colours[index];
      picture.data[out + 1] = colours[index + 1];
      picture.data[out + 2] = colours[index + 2];
      picture.data[out + 3] = 255;
      out += 4;
    }
  }
  context.putImageData(picture, 0, 0);
}

// A strip of the colour map, low on the left.
export function drawLegend(canvas, colormap) {
  const { width } = canvas;
  drawMap(
    canvas,
    [1, width],
    Array.from({ length: width }, (_, i) => i / (width - 1)),
    colormap,
  );
}

// The photo with the map over it, as a PNG at most `longest` pixels long.
export async function composePng(photo, map, opacity, longest = 2048) {
  const scale = Math.min(1, longest / Math.max(photo.naturalWidth, photo.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(photo.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(photo.naturalHeight * scale));
  const context = canvas.getContext("2d");
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  if (map) {
    context.globalAlpha = opacity;
    context.drawImage(map, 0, 0, canvas.width, canvas.height);
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
