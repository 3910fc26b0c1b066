/** Warnings while a game is played, by the rules of the library's `training/monitor.py`. */

const LOGGED = 20, UPDATES = 400, SURE = 0.95, FOOLED = 0.02;
const LOW = 0.2, HIGH = 0.8, SWINGS = 6, LATEST = 60;
const CLOSE = 0.5, EARLY = 400;

/** Mean distance between the rows of x, over some pairs. */
function spread(x, dim) {
  const n = Math.floor(x.length / dim), step = Math.max(1, Math.floor(n / 60));
  let sum = 0, pairs = 0;
  for (let i = 0; i < n; i += step) {
    for (let j = i + step; j < n; j += step) {
      let square = 0;
      for (let d = 0; d < dim; d++) square += (x[i * dim + d] - x[j * dim + d]) ** 2;
      sum += Math.sqrt(square);
      pairs += 1;
    }
  }
  return sum / pairs;
}

export class Monitor {
  /** @param p The mixture of the data, whose means stand for its examples. */
  constructor(objective, p) {
    this.objective = objective;
    this.own = p.n > 1 ? spread(p.means, p.dim) : 0;
    this.dim = p.dim;
    this.log = [];
  }

  read(t, seen, x) {
    if (seen?.V === undefined) return;
    const ratio = this.own > 0 ? spread(x, this.dim) / this.own : 1;
    this.log.push({ t, D_x: seen.D_x, D_Gz: seen.D_Gz, ratio });
    if (this.log.length > 4 * LATEST) this.log.splice(0, LATEST);
  }

  cut(t) {
    this.log = this.log.filter((line) => line.t <= t);
  }

  /** What is wrong at move t: [name, sentence] pairs, usually none. */
  warnings(t) {
    const log = this.log.filter((line) => line.t <= t);
    const said = [dominates(log, this.objective), oscillates(log), collapsed(log)];
    return said.filter(Boolean);
  }
}

function dominates(log, objective) {
  const latest = log.slice(-LOGGED);
  if (latest.length < LOGGED || latest.at(-1).t < UPDATES) return null;
  const mean = (name) => latest.reduce((sum, line) => sum + line[name], 0) / LOGGED;
  const D_x = mean("D_x"), D_Gz = mean("D_Gz");
  if (D_x < SURE || D_Gz > FOOLED) return null;
  const gradient = objective === "minimax"
    ? "under the minimax objective G's gradient then vanishes, and the non-saturating objective keeps it"
    : "G still has a gradient, but nearly the same one for every sample";
  return ["D dominates", `D(x) ${D_x.toFixed(2)} and D(G(z)) ${D_Gz.toFixed(3)} in the mean since step ` +
    `${latest[0].t}; ${gradient}. What usually helps: a lower learning rate for D, noise on its inputs, or another seed.`];
}

function oscillates(log) {
  const sides = log.slice(-LATEST).map((line) => line.D_Gz).filter((v) => v < LOW || v > HIGH).map((v) => v > HIGH);
  const swings = sides.filter((side, i) => i && side !== sides[i - 1]).length;
  if (swings < SWINGS) return null;
  return ["oscillation", `D(G(z)) went ${swings} times between below ${LOW} and above ${HIGH} in the last ${LATEST} ` +
    "logged values. What usually helps: lower learning rates or less momentum for both players, or the R1 penalty."];
}

function collapsed(log) {
  const latest = log.filter((line) => line.t > EARLY).slice(-3);
  if (latest.length < 3 || latest.some((line) => line.ratio > CLOSE)) return null;
  return ["mode collapse", `The mean distance between samples is ${latest.at(-1).ratio.toFixed(2)} times that between ` +
    "the modes of the data (1 is right). What usually helps: more updates of D for each of G, or a lower learning rate for G."];
}
