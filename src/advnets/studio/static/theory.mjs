/** Section 4 on cells: p_data exactly, p_g by a lattice of z, D* = p / (p + q), JSD and its floor. */

import { sample } from "./data.mjs";
import { Rng, noise, onto_sphere } from "./rng.mjs";

/** The error function: its series near 0, its continued fraction beyond; to about 1e-14. */
export function erf(x) {
  const t = Math.abs(x);
  if (t > 6) return Math.sign(x);
  return Math.sign(x) * (t < 2.5 ? series(t) : 1 - tail(t));
}

function series(t) {
  let term = t, sum = t;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 200; n++) {
    term *= (-t * t) / n;
    sum += term / (2 * n + 1);
    if (term === 0) break;
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function tail(t) {
  let f = 0;
  for (let k = 60; k > 0; k--) f = k / 2 / (t + f);
  return Math.exp(-t * t) / Math.sqrt(Math.PI) / (t + f);
}

function cdf(x, mean, std) {
  return (1 + erf((x - mean) / (std * Math.SQRT2))) / 2;
}

/** n cells along each axis of the window (-half, half). */
export function cells(dim, half, n) {
  const width = (2 * half) / n;
  const axis = Float64Array.from({ length: n }, (_, i) => -half + (i + 0.5) * width);
  return { dim, half, n, width, axis, count: dim === 1 ? n : n * n };
}

/** The centres of all cells as rows (x, y); y goes up row by row. */
export function centres(c) {
  if (c.dim === 1) return c.axis.slice();
  const x = new Float64Array(2 * c.count);
  for (let i = 0; i < c.count; i++) {
    x[2 * i] = c.axis[i % c.n];
    x[2 * i + 1] = c.axis[Math.floor(i / c.n)];
  }
  return x;
}

/** The probability of each cell under a mixture, exactly: a round Gaussian is a product of axes. */
export function masses(p, c) {
  const out = new Float64Array(c.count);
  for (let k = 0; k < p.n; k++) {
    const along = Array.from({ length: p.dim }, (_, j) => axis_masses(p.means[k * p.dim + j], p.std[k], c));
    for (let i = 0; i < c.count; i++) {
      const mass = p.dim === 1 ? along[0][i] : along[0][i % c.n] * along[1][Math.floor(i / c.n)];
      out[i] += p.weight[k] * mass;
    }
  }
  return out;
}

function axis_masses(mean, std, c) {
  const out = new Float64Array(c.n);
  let below = cdf(-c.half, mean, std);
  for (let i = 0; i < c.n; i++) {
    const above = cdf(-c.half + (i + 1) * c.width, mean, std);
    out[i] = above - below;
    below = above;
  }
  return out;
}

/** The share of points in each cell; points outside the window are in none. */
export function counted(x, c) {
  const out = new Float64Array(c.count), n = x.length / c.dim;
  for (let row = 0; row < n; row++) {
    const i = Math.floor((x[row * c.dim] + c.half) / c.width);
    const j = c.dim === 1 ? 0 : Math.floor((x[row * 2 + 1] + c.half) / c.width);
    if (i >= 0 && i < c.n && j >= 0 && j < c.n) out[j * c.n + i] += 1 / n;
  }
  return out;
}

/** p_g on the line for z on the line, exactly where G is linear between two z of the lattice: the
 * probability between two neighbours is spread evenly between their images. */
export function pushed_forward(x, c) {
  const out = new Float64Array(c.count), share = 1 / (x.length - 1);
  for (let i = 0; i + 1 < x.length; i++) spread_between(out, Math.min(x[i], x[i + 1]), Math.max(x[i], x[i + 1]), share, c);
  return out;
}

function spread_between(out, low, high, share, c) {
  const first = Math.floor((low + c.half) / c.width), last = Math.floor((high + c.half) / c.width);
  for (let i = Math.max(first, 0); i <= Math.min(last, c.n - 1); i++) {
    const left = -c.half + i * c.width;
    const within = Math.min(high, left + c.width) - Math.max(low, left);
    out[i] += first === last ? share : (share * Math.max(within, 0)) / (high - low);
  }
}

/** z that stand for the whole prior: an even lattice of its quantiles in one or two dimensions, and
 * fixed random draws in more. */
export function lattice(prior, dim, n) {
  if (dim > 2 || prior === "spherical") return spread_draws(prior, dim, n);
  const side = dim === 1 ? n : Math.floor(Math.sqrt(n));
  const z = Float64Array.from({ length: side }, (_, i) => quantile(prior, (i + 0.5) / side));
  if (dim === 1) return z;
  const all = new Float64Array(2 * side * side);
  for (let i = 0; i < side * side; i++) {
    all[2 * i] = z[i % side];
    all[2 * i + 1] = z[Math.floor(i / side)];
  }
  return all;
}

function spread_draws(prior, dim, n) {
  const z = noise(prior, n, dim, new Rng(0, "lattice"));
  if (prior === "spherical") onto_sphere(z, dim);
  return z;
}

/** The z below which one coordinate of the prior has the probability u. */
export function quantile(prior, u) {
  if (prior === "uniform") return Math.sqrt(3) * (2 * u - 1);
  let z = 0;
  for (let i = 0; i < 60; i++) { // Newton, with steps of at most 1
    const step = (cdf(z, 0, 1) - u) / (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI));
    z -= Math.max(-1, Math.min(1, step));
    if (Math.abs(step) < 1e-14) break;
  }
  return z;
}

/** JSD in nats between two tables of masses; what is missing to 1 is one cell more. */
export function jsd(p, q) {
  let sum = 0, left_p = 1, left_q = 1;
  for (let i = 0; i < p.length; i++) {
    sum += half(p[i], q[i]) + half(q[i], p[i]);
    left_p -= p[i];
    left_q -= q[i];
  }
  const out_p = Math.max(left_p, 0), out_q = Math.max(left_q, 0);
  return sum + half(out_p, out_q) + half(out_q, out_p);
}

function half(a, b) {
  return a > 0 ? (a / 2) * Math.log((2 * a) / (a + b)) : 0;
}

/** The JSD that n draws of p_data itself have by the same count: nothing can be told below it. */
export function floor_of(p, table, c, n, repeats = 8) {
  const rng = new Rng(1, "floor");
  let sum = 0;
  for (let i = 0; i < repeats; i++) sum += jsd(table, counted(sample(p, n, rng), c));
  return sum / repeats;
}

/** D*(x) = p / (p + q) cell by cell; NaN where both are (nearly) nothing and D is free. */
export function D_star(p, q) {
  return p.map((v, i) => (v + q[i] > 1e-9 ? v / (v + q[i]) : NaN));
}

/** V(G, D*) = -log 4 + 2 JSD(p_data, p_g): Theorem 1. */
export function V_of_best(divergence) {
  return -Math.log(4) + 2 * divergence;
}
