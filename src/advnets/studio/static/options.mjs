/** What can be chosen, its defaults, and the whole of it as the fragment of a URL. */

import { DATASETS } from "./data.mjs";

const RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3];
const SIZES = ["8", "16", "32", "16-16", "32-32", "64-64", "128-128", "32-32-32"];
const words = (...list) => list.map((word) => [word, word]);

/** Of each option: its label, its group, its default, and either its choices or its range. */
export const OPTIONS = {
  data: { label: "Data", group: "Game", default: "ring", choices: Object.entries(DATASETS).map(([k, v]) => [k, v.title]) },
  objective: {
    label: "Objective", group: "Game", default: "non-saturating",
    choices: [["minimax", "minimax, eq. (1)"], ["non-saturating", "non-saturating"], ["least-squares", "least squares"], ["relativistic", "relativistic"]],
  },
  r1: { label: "R1 penalty, weight", group: "Game", default: 0, range: [0, 5, 0.1] },
  order: {
    label: "Order", group: "Game", default: "alternating",
    choices: [["alternating", "alternating (Algorithm 1)"], ["simultaneous", "simultaneous (the authors' code)"]],
  },
  k: { label: "k, updates of D for each of G", group: "Game", default: 1, range: [1, 10, 1] },
  rule: { label: "Learning rule", group: "Learning", default: "adam", choices: [["momentum", "momentum"], ["adam", "Adam"]] },
  momentum: { label: "Momentum (of Adam: beta 1)", group: "Learning", default: 0.5, range: [0, 0.95, 0.05] },
  G_lr: { label: "Learning rate of G", group: "Learning", default: 0.001, choices: RATES.map((v) => [v, String(v)]) },
  D_lr: { label: "Learning rate of D", group: "Learning", default: 0.003, choices: RATES.map((v) => [v, String(v)]) },
  m: { label: "m, examples of a minibatch", group: "Learning", default: 64, range: [8, 256, 8] },
  G: { label: "Hidden layers of G", group: "Networks", default: "32-32", choices: words(...SIZES) },
  D: { label: "Hidden layers of D", group: "Networks", default: "32-32", choices: words(...SIZES) },
  unit: { label: "Units of D", group: "Networks", default: "relu", choices: [["relu", "rectifiers"], ["maxout", "maxout of 3 pieces"]] },
  prior: { label: "Prior p(z)", group: "Networks", default: "gaussian", choices: words("uniform", "gaussian", "spherical") },
  z: { label: "Coordinates of z", group: "Networks", default: 2, range: [1, 16, 1] },
  seed: { label: "Seed", group: "Game", default: 0, range: [0, 999999, 1] },
};

/** What is looked at: it changes nothing in the game. */
export const VIEW = {
  field: {
    label: "Colour shows", default: "D",
    choices: [["none", "nothing"], ["D", "D(x)"], ["best", "the best D, D*"], ["error", "D - D*"], ["p", "p_data"], ["q", "p_g"]],
  },
  examples: { label: "Examples (o)", default: true },
  samples: { label: "Samples (x)", default: true },
  arrows: { label: "Arrows of G's gradient", default: false },
  lines: { label: "Lines z to G(z)", default: false },
  speed: {
    label: "Speed", default: 0,
    choices: [[0, "as fast as it goes"], [200, "200 steps a second"], [50, "50 steps a second"], [10, "10 steps a second"], [2, "2 steps a second"]],
  },
};

export function defaults(table) {
  return Object.fromEntries(Object.entries(table).map(([name, spec]) => [name, spec.default]));
}

/** A value as the table allows it; its default for anything else. */
export function allowed(spec, value) {
  if (typeof spec.default === "boolean") return value === true || value === "1";
  if (spec.choices) {
    const found = spec.choices.find(([key]) => String(key) === String(value));
    return found ? found[0] : spec.default;
  }
  const [low, high, step] = spec.range, number = Number(value);
  if (value === "" || !Number.isFinite(number)) return spec.default;
  const whole = low + Math.round((number - low) / step) * step;
  return Number(Math.min(high, Math.max(low, whole)).toFixed(6));
}

/** All of a state: {options, view, moves, points} as a fragment; what is a default is left out. */
export function to_fragment({ options, view, moves, points }) {
  const parts = [];
  for (const [table, values] of [[OPTIONS, options], [VIEW, view]]) {
    for (const [name, spec] of Object.entries(table)) {
      const value = values[name];
      if (value !== spec.default) parts.push(`${name}=${value === true ? 1 : value === false ? 0 : value}`);
    }
  }
  if (points?.values.length) parts.push(`points=${points.dim}:${points.values.join(",")}`);
  if (moves) parts.push(`moves=${moves}`);
  return parts.join("&");
}

const MOST_MOVES = 1e6;

export function from_fragment(fragment) {
  const given = Object.fromEntries(new URLSearchParams(fragment.replace(/^#/, "")));
  const read = (table) => Object.fromEntries(
    Object.entries(table).map(([name, spec]) => [name, name in given ? allowed(spec, given[name]) : spec.default]),
  );
  const moves = /^([rDG]\d{1,7})+$/.test(given.moves ?? "") ? given.moves : "";
  const few = runs_of(moves).reduce((sum, [, n]) => sum + n, 0) <= MOST_MOVES;
  return { options: read(OPTIONS), view: read(VIEW), moves: few ? moves : "", points: points_of(given.points) };
}

function points_of(text) {
  const found = /^([12]):([-\d.,]+)$/.exec(text ?? "");
  if (!found) return null;
  const dim = Number(found[1]), values = found[2].split(",").map(Number);
  const usable = values.every(Number.isFinite) && values.length % dim === 0 && values.length <= 2000;
  return usable ? { dim, values } : null;
}

/** "r120D3G1" as [["r", 120], ["D", 3], ["G", 1]]. */
export function runs_of(moves) {
  return [...moves.matchAll(/([rDG])(\d+)/g)].map(([, kind, n]) => [kind, Number(n)]);
}
