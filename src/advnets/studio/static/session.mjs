/** One game with its data, its randomness and its past, played move by move. */

import { dataset, modes_covered, sample } from "./data.mjs";
import { Game } from "./game.mjs";
import { History, Series } from "./history.mjs";
import { Mlp } from "./mlp.mjs";
import { Monitor } from "./monitor.mjs";
import { runs_of } from "./options.mjs";
import { Rng, noise } from "./rng.mjs";
import { cells, counted, floor_of, jsd, lattice, masses, pushed_forward } from "./theory.mjs";

/** Rounds between two measurements of p_g, and the z that each is taken over. */
const MEASURED_EVERY = 25, LATTICE = 1600, FINE = 22500;
export const CELLS = { 1: 160, 2: 44 };

/** The lines of Algorithm 1, as slow motion names them. */
export const LINES = {
  zD: "Sample minibatch of m noise samples z from the prior p_g(z).",
  x: "Sample minibatch of m examples x from p_data(x).",
  D: "Update the discriminator by ascending its stochastic gradient of V.",
  zG: "Sample minibatch of m noise samples z from the prior p_g(z).",
  G: "Update the generator by descending its stochastic gradient.",
  both: "Update both players by their gradients at the old weights.",
};

function hidden(text, inputs, unit) {
  const pieces = unit === "maxout" ? 3 : 1;
  return text.split("-").map(Number).map((units) => {
    const layer = { inputs, units, unit, pieces };
    inputs = units;
    return layer;
  });
}

function network(text, inputs, outputs, unit, rng) {
  const layers = hidden(text, inputs, unit);
  return new Mlp([...layers, { inputs: layers.at(-1).units, units: outputs }]).init(rng);
}

export class Session {
  /** @param options Values of `OPTIONS`. @param points Of a drawn data set, {dim, values}. */
  constructor(options, points = null) {
    const o = (this.options = options);
    this.p = dataset(o.data, points ?? undefined);
    const dim = this.p.dim;
    const G = network(o.G, o.z, dim, "relu", new Rng(o.seed, "weights of G"));
    const D = network(o.D, dim, 1, o.unit, new Rng(o.seed, "weights of D"));
    const rule = (lr) => ({ name: o.rule, lr, momentum: o.momentum, beta1: o.momentum });
    this.game = new Game(G, D, {
      objective: o.objective, order: o.order, r1: o.r1, G_rule: rule(o.G_lr), D_rule: rule(o.D_lr),
    });
    this.rng = new Rng(o.seed, "steps");
    this.t = 0;
    this.seen = null;
    this.pending = null;
    this.history = new History();
    this.series = new Series(["V", "J", "D_x", "D_Gz"]);
    this.measured = new Series(["jsd", "covered"]);
    this.monitor = new Monitor(o.objective, this.p);
    this.prepare();
  }

  /** What never changes while this game is played. */
  prepare() {
    const { p, options: o } = this;
    this.cells = cells(p.dim, p.half, CELLS[p.dim]);
    this.table = masses(p, this.cells);
    this.exact = p.dim === 1 && o.z === 1 && o.prior !== "spherical";
    this.lattice = lattice(o.prior, o.z, LATTICE);
    this.floor = floor_of(p, this.table, this.cells, this.lattice.length / o.z);
    this.history.keep(0, () => this.state());
    this.measure();
  }

  // Moves

  draw_z() {
    return noise(this.options.prior, this.options.m, this.options.z, this.rng);
  }

  draw_x() {
    return sample(this.p, this.options.m, this.rng);
  }

  /** Make one move: r, a round of Algorithm 1; D or G, one update of that player. */
  move(kind) {
    this.finish();
    this.make(kind);
    this.made(kind);
  }

  make(kind) {
    const { game, options: o } = this;
    if (kind === "G") {
      const z = this.draw_z();
      const data = o.objective === "relativistic" ? this.draw_x() : undefined;
      this.seen = { ...this.seen, ...game.update_G(z, data) };
    } else if (kind === "D") {
      const z = this.draw_z();
      this.seen = game.update_D(this.draw_x(), z);
    } else {
      const zs = [], xs = [];
      for (let i = 0; i < o.k; i++) {
        zs.push(this.draw_z());
        xs.push(this.draw_x());
      }
      if (o.order === "alternating") zs.push(this.draw_z());
      this.seen = game.step(xs, zs);
    }
  }

  made(kind) {
    if (this.history.length > this.t) this.forget();
    this.history.add(kind);
    this.after();
  }

  /** What follows a move, made anew or again. */
  after() {
    this.t += 1;
    this.history.keep(this.t, () => this.state());
    if (this.seen.V !== undefined) this.series.add(this.t, this.seen);
    if (this.t % MEASURED_EVERY === 0) this.measure();
  }

  forget() {
    this.history.cut(this.t);
    for (const series of [this.series, this.measured]) series.cut(this.t);
    this.monitor.cut(this.t);
  }

  /** The next line of Algorithm 1, and its name; the draws are those of `move("r")`. */
  line() {
    if (!this.pending) this.pending = { plan: this.plan(), at: 0, zs: [], xs: [], before: this.state() };
    const p = this.pending, kind = p.plan[p.at++];
    if (kind === "zD" || kind === "zG") p.zs.push(this.draw_z());
    if (kind === "x") p.xs.push(this.draw_x());
    if (kind === "D") p.seen = this.game.update_D(p.xs.at(-1), p.zs.at(-1));
    if (kind === "both") p.seen = this.game.update_both(p.xs.at(-1), p.zs.at(-1));
    if (kind === "G") p.seen = { ...p.seen, J: this.game.update_G(p.zs.at(-1), p.xs.at(-1)).J };
    if (p.at === p.plan.length) {
      this.pending = null;
      this.seen = p.seen;
      this.made("r");
    }
    return { kind, text: LINES[kind], x: p.xs.at(-1) ?? null, z: p.zs.at(-1) ?? null };
  }

  plan() {
    const { k, order } = this.options, one = ["zD", "x", "D"];
    const rounds = Array(order === "alternating" ? k : k - 1).fill(one).flat();
    return order === "alternating" ? [...rounds, "zG", "G"] : [...rounds, "zD", "x", "both"];
  }

  finish() {
    while (this.pending) this.line();
  }

  // The past

  state() {
    const { game, rng, seen } = this;
    return { game: game.state(), rng: rng.state(), seen: seen && { ...seen } };
  }

  load(state) {
    this.game.load(state.game);
    this.rng.load(state.rng);
    this.seen = state.seen && { ...state.seen };
  }

  /** Stand where the game was after t moves; what came later stays until another move is made. */
  go_to(t) {
    if (this.pending) {
      this.load(this.pending.before);
      this.pending = null;
    }
    t = Math.max(0, Math.min(t, this.history.length));
    const frame = this.history.before(t);
    this.load(frame.state);
    for (const kind of this.history.kinds(frame.t, t)) this.make(kind);
    this.t = t;
  }

  /** Make the moves of a text such as "r200D3", from the start. */
  replay(moves) {
    for (const [kind, n] of runs_of(moves)) for (let i = 0; i < n; i++) this.move(kind);
  }

  // What is seen

  /** p_g by cells, and what follows from it. */
  cells_of_G(z = this.lattice) {
    const x = this.game.samples(z).slice();
    const q = this.exact ? pushed_forward(x, this.cells) : counted(x, this.cells);
    return { x, q };
  }

  /** More z, for a picture that stands still. */
  fine() {
    return (this.finer ??= lattice(this.options.prior, this.options.z, FINE));
  }

  /** What p_g is now: its cells, its distance from p_data, the modes it covers. */
  measurement() {
    const { x, q } = this.cells_of_G();
    return { x, q, t: this.t, jsd: jsd(this.table, q), modes: modes_covered(this.p, x) };
  }

  measure() {
    this.latest = this.measurement();
    const { jsd, modes, x } = this.latest;
    this.measured.add(this.t, { jsd, covered: modes ? modes.covered : null });
    this.monitor.read(this.t, this.seen, x);
  }

  finite() {
    return Number.isFinite(this.game.G.theta[0] + this.game.D.theta[0]) &&
      Object.values(this.seen ?? {}).every(Number.isFinite);
  }
}

/** A word of 8 letters for the weights of both players: equal weights, equal word. */
export function fingerprint(game) {
  let h = 0x811c9dc5;
  for (const { theta } of [game.G, game.D]) {
    for (const byte of new Uint8Array(theta.buffer)) h = Math.imul(h ^ byte, 0x01000193) >>> 0;
  }
  return h.toString(16).padStart(8, "0");
}
