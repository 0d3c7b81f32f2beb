// The four colour maps a heatmap can wear: 0..1 to red, green and blue, 0..255. The same formulas
// as the server's, so that the overlay it paints and ours agree.
const clamp = (value) => Math.min(1, Math.max(0, value));
const polynomial = (x, coefficients) => coefficients.reduceRight((sum, c) => sum * x + c, 0);
const bytes = (channels) => channels.map((value) => Math.round(clamp(value) * 255));

const TURBO = [
  [0.13572138, 4.6153926, -42.66032258, 132.13108234, -152.94239396, 59.28637943],
  [0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604],
  [0.1066733, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973],
];
const VIRIDIS = [
  [0.27772733, 0.10509304, -0.33086183, -4.63423050, 6.22826996, 4.77638499, -5.43545586],
  [0.00540734, 1.40461353, 0.21484756, -5.79910087, 14.17993337, -13.74514538, 4.64585260],
  [0.33409981, 1.38459016, 0.09509516, -19.33244096, 56.69055260, -65.35303263, 26.31243525],
];

const formulas = {
  jet: (x) => [1.5 - Math.abs(4 * x - 3), 1.5 - Math.abs(4 * x - 2), 1.5 - Math.abs(4 * x - 1)],
  turbo: (x) => TURBO.map((row) => polynomial(x, row)),
  viridis: (x) => VIRIDIS.map((row) => polynomial(x, row)),
  gray: (x) => [x, x, x],
};

export const colormaps = Object.keys(formulas);

// 256 colours, three bytes each.
export function palette(name) {
  const table = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; ++i) table.set(bytes(formulas[name](i / 255)), i * 3);
  return table;
}
