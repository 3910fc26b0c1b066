/** What the page is sent of a game, to be drawn. */

import { shown_examples } from "./data.mjs";
import { sigmoid } from "./objectives.mjs";
import { Rng, noise } from "./rng.mjs";
import { fingerprint } from "./session.mjs";
import { V_of_best, centres, quantile } from "./theory.mjs";

const SHOWN = 400, ARROWS = 70, LINES = 41, WARP = 13;

/** What is fixed for a game: the cells, p_data in them, examples. */
export function frame_of(session) {
  const { p, cells, table, floor, options, exact } = session;
  const { dim, half, n } = cells;
  return { dim, half, n, p: table, floor, exact, lattice: session.lattice.length / options.z, examples: shown_examples(p, SHOWN, options.seed) };
}

/** The game as it stands.
 *
 * @param view The view's options; what is not looked at is not computed.
 * @param curves Whether the curves come along.
 * @param quick Whether p_g may be that of some steps ago, where it is not looked at.
 */
export function snapshot(session, view, curves, quick = false) {
  const { game, cells, options } = session;
  const shown = cells.dim === 1 || ["best", "error", "q"].includes(view.field);
  const { q, jsd: divergence, modes } = quick && !shown ? session.latest : session.measurement();
  const sharper = !quick && shown && !session.exact;
  const seen = {
    t: session.t,
    length: session.history.length,
    moves: session.history.text(session.t),
    metrics: session.seen,
    jsd: divergence,
    V_best: V_of_best(divergence),
    modes,
    fingerprint: quick ? null : fingerprint(game),
    warnings: session.monitor.warnings(session.t),
    finite: session.finite(),
    q: sharper ? session.cells_of_G(session.fine()).q : q,
    D: field_of_D(game, cells),
    samples: game.samples(shown_noise(options, SHOWN)).slice(),
  };
  if (view.arrows) seen.arrows = arrows(game, options);
  if (view.lines) seen.lines = lines(game, options);
  if (curves) seen.curves = { game: session.series.rows, measured: session.measured.rows };
  return seen;
}

function shown_noise(options, n) {
  return noise(options.prior, n, options.z, new Rng(options.seed, "samples shown"));
}

function field_of_D(game, cells) {
  return game.D.forward(centres(cells), cells.count).map(sigmoid);
}

function arrows(game, options) {
  const { x, push } = game.pull(shown_noise(options, ARROWS));
  return { x, push };
}

/** Where z goes: even steps of one z for Figure 1's lines; in the plane the bent lines of a grid. */
function lines(game, options) {
  if (game.G.outputs === 1) return lines_of_figure_1(game, options);
  const along = Array.from({ length: WARP }, (_, i) => quantile(options.prior, (i + 0.5) / WARP));
  const rows = [];
  for (const u of along) {
    for (const v of along) rows.push(...at_plane(options.z, u, v));
  }
  return { side: WARP, x: game.samples(Float64Array.from(rows)).slice() };
}

function at_plane(dim, u, v) {
  const z = new Array(dim).fill(0);
  z[0] = u;
  if (dim > 1) z[1] = v;
  return z;
}

function lines_of_figure_1(game, options) {
  const first = Array.from({ length: LINES }, (_, i) => quantile(options.prior, (i + 0.5) / LINES));
  const z = Float64Array.from(first.flatMap((u) => at_plane(options.z, u, 0)));
  return { z: Float64Array.from(first), x: game.samples(z).slice() };
}
