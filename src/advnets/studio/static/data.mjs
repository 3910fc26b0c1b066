/** The data sets of the game. Every one is a mixture of round Gaussians, so that p_data is known. */

import { Rng } from "./rng.mjs";

const FULL = 2 * Math.PI;
/** Of drawn or pasted points as many are kept, evenly; around each stands a Gaussian this wide. */
export const MOST_POINTS = 1000;
export const PEN = 0.05;

/** A mixture: means row by row, one std and one weight each. `modes` says that they can be counted. */
function mixture(dim, means, stds, { weights, modes = true, half = 2 } = {}) {
  const n = means.length / dim;
  const std = typeof stds === "number" ? new Float64Array(n).fill(stds) : Float64Array.from(stds);
  const weight = weights ? Float64Array.from(weights) : new Float64Array(n).fill(1 / n);
  return { dim, n, means: Float64Array.from(means), std, weight, modes, half };
}

function ring(n, radius) {
  const means = [];
  for (let i = 0; i < n; i++) means.push(radius * Math.cos((FULL * i) / n), radius * Math.sin((FULL * i) / n));
  return means;
}

function grid(side, spacing) {
  const axis = Array.from({ length: side }, (_, i) => spacing * (i - (side - 1) / 2));
  return axis.flatMap((x) => axis.flatMap((y) => [x, y]));
}

/** Points at even steps along two arms, so that the mixture is a smooth band. */
function spirals(n) {
  const means = [];
  for (let i = 0; i < n; i++) {
    const turn = 0.75 * FULL * Math.sqrt((i + 0.5) / n), radius = 0.15 + (1.2 * turn) / (0.75 * FULL);
    for (const sign of [1, -1]) means.push(sign * radius * Math.cos(turn), sign * radius * Math.sin(turn));
  }
  return means;
}

export const DATASETS = {
  bimodal: { title: "two Gaussians on the line", make: () => mixture(1, [-1, 1], 0.25, { half: 2.5 }) },
  single: { title: "one Gaussian on the line", make: () => mixture(1, [0.5], 0.5, { half: 2.5 }) },
  uneven: {
    title: "three uneven Gaussians on the line",
    make: () => mixture(1, [-1.3, 0, 1.2], [0.15, 0.3, 0.2], { weights: [0.2, 0.5, 0.3], half: 2.5 }),
  },
  sharp: { title: "sharp: two needles on the line", make: () => mixture(1, [-1, 1], 0.03, { half: 2.5 }) },
  two: { title: "two Gaussians in the plane", make: () => mixture(2, [-0.8, -0.4, 0.8, 0.4], 0.2) },
  ring: { title: "ring of eight", make: () => mixture(2, ring(8, 1), 0.05, { half: 1.6 }) },
  grid: { title: "grid of 25", make: () => mixture(2, grid(5, 0.5), 0.05, { half: 1.6 }) },
  spirals: {
    title: "two spirals",
    make: () => mixture(2, spirals(80), 0.05, { modes: false, half: 1.8 }),
  },
  drawn: { title: "drawn by hand, or pasted", make: (points) => of_points(points) },
};

/** A mixture around points; a short cross where there are none yet. */
function of_points({ dim, values } = { dim: 2, values: [] }) {
  const none = [-0.6, -0.6, -0.3, -0.3, 0, 0, 0.3, 0.3, 0.6, 0.6];
  const means = values.length ? values : dim === 1 ? [-0.5, 0.5] : none;
  return mixture(dim, means, PEN, { modes: false, half: dim === 1 ? 2.5 : 1.6 });
}

export function dataset(name, points) {
  return DATASETS[name].make(points);
}

/** Each component's share of the weights up to it, to draw by. */
function cumulative(p) {
  let sum = 0;
  return p.weight.map((w) => (sum += w));
}

/** m draws of a mixture, row by row. */
export function sample(p, m, rng) {
  p.cumulative ??= cumulative(p);
  const x = new Float64Array(m * p.dim);
  for (let row = 0; row < m; row++) {
    const u = rng.uniform();
    let c = 0;
    while (c < p.n - 1 && p.cumulative[c] <= u) c++;
    for (let j = 0; j < p.dim; j++) x[row * p.dim + j] = p.means[c * p.dim + j] + p.std[c] * rng.normal();
  }
  return x;
}

/** How many modes have a tenth of their fair share of samples within three standard deviations, as
 * `advnets.evaluation.modes` counts; null where modes are not to be counted. */
export function modes_covered(p, x) {
  if (!p.modes) return null;
  const n = x.length / p.dim, counts = new Float64Array(p.n);
  for (let row = 0; row < n; row++) {
    let near = -1, least = Infinity;
    for (let c = 0; c < p.n; c++) {
      let square = 0;
      for (let j = 0; j < p.dim; j++) square += (x[row * p.dim + j] - p.means[c * p.dim + j]) ** 2;
      if (square < least) [near, least] = [c, square];
    }
    if (Math.sqrt(least) <= 3 * p.std[near]) counts[near] += 1 / n;
  }
  return { covered: counts.filter((share, c) => share >= 0.1 * p.weight[c]).length, of: p.n };
}

/** Points of a text: one row a line, one or two numbers in each.
 *
 * @returns {{points: {dim, values}, said: string}}
 * @throws {Error} One sentence, for words, other columns, or nothing.
 */
export function parsed_csv(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  if (lines.length && !lines[0].split(/[\s,;]+/).every(is_number)) lines.shift(); // a heading
  if (!lines.length) throw new Error("The text must hold at least one row of one or two numbers.");
  const rows = kept_evenly(lines).map((line, i) => numbers_of(line, i));
  const dim = rows[0].length;
  if (rows.some((row) => row.length !== dim)) throw new Error(`Every row must have ${dim} numbers, as the first has.`);
  const points = { dim, values: fitted(rows.flat(), dim) };
  const left = lines.length > rows.length ? ` of ${lines.length.toLocaleString("en")}, evenly chosen` : "";
  return { points, said: `${rows.length.toLocaleString("en")} points${left}, moved and scaled into the frame.` };
}

function is_number(word) {
  return word !== "" && Number.isFinite(Number(word));
}

function numbers_of(line, i) {
  const words = line.split(/[\s,;]+/).filter(Boolean);
  const bad = words.find((word) => !is_number(word));
  if (bad !== undefined) throw new Error(`Row ${i + 1} must hold numbers, got '${bad.slice(0, 40)}'.`);
  if (words.length > 2 || !words.length) throw new Error(`Row ${i + 1} must hold one or two numbers, got ${words.length}.`);
  return words.map(Number);
}

export function kept_evenly(rows) {
  if (rows.length <= MOST_POINTS) return rows;
  return Array.from({ length: MOST_POINTS }, (_, i) => rows[Math.floor((i * rows.length) / MOST_POINTS)]);
}

/** Values moved and scaled so that they fill three quarters of the frame. */
function fitted(values, dim) {
  const spread = [], middle = [];
  for (let j = 0; j < dim; j++) {
    const own = values.filter((_, i) => i % dim === j);
    const low = own.reduce((a, b) => Math.min(a, b)), high = own.reduce((a, b) => Math.max(a, b));
    spread.push(high - low);
    middle.push((low + high) / 2);
  }
  const scale = 2.4 / (Math.max(...spread) || 1);
  return values.map((v, i) => Number(((v - middle[i % dim]) * scale).toFixed(3)));
}

/** Examples to look at: fixed, whatever the game draws. */
export function shown_examples(p, n, seed) {
  return sample(p, n, new Rng(seed, "examples shown"));
}
