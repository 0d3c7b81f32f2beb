// Pictures drawn here, so that no photo of anybody is needed: a skin-coloured field with red spots,
// as PNG.
import { deflateSync } from "node:zlib";

function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; ++bit) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc(body));
  return Buffer.concat([length, body, check]);
}

function header(width, height) {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB
  return chunk("IHDR", data);
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export function skinPng(width = 320, height = 240) {
  const rows = Buffer.alloc(height * (1 + width * 3));
  const spots = Array.from({ length: 14 }, (_, i) => [
    width * (0.55 + 0.13 * Math.cos(i * 2.4)),
    height * (0.45 + 0.15 * Math.sin(i * 1.7)),
    width * (0.015 + (i % 4) * 0.008),
  ]);
  for (let y = 0, at = 0; y < height; ++y) {
    ++at; // filter 0
    for (let x = 0; x < width; ++x) {
      const red = spots.some(([cx, cy, r]) => (x - cx) ** 2 + (y - cy) ** 2 < r * r);
      const shade = Math.round(9 * Math.sin(x / 23) * Math.cos(y / 17));
      const colour = red ? [186, 92, 84] : [222 + shade, 178 + shade, 150 + shade];
      rows.set(colour, at);
      at += 3;
    }
  }
  return Buffer.concat([
    SIGNATURE,
    header(width, height),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

// One colour, quickly made: for the server to be busy with.
export const plainPng = (width, height) =>
  Buffer.concat([
    SIGNATURE,
    header(width, height),
    chunk("IDAT", deflateSync(Buffer.alloc(height * (1 + width * 3)), { level: 1 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);

// A header that promises `width` x `height` pixels, and nothing behind it.
export const hugePng = (width = 60000, height = 60000) =>
  Buffer.concat([
    SIGNATURE,
    header(width, height),
    chunk("IDAT", deflateSync(Buffer.alloc(64))),
    chunk("IEND", Buffer.alloc(0)),
  ]);

export const asFile = (buffer, name = "skin.png", mimeType = "image/png") => ({
  name,
  mimeType,
  buffer,
});
