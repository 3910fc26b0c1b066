/** The moves that were made, and states along them: any moment can be gone back to, to the bit. */

const MOST_FRAMES = 160;

export class History {
  constructor() {
    this.runs = []; // [kind, how many], kind of r (a round), D, G
    this.length = 0;
    this.frames = []; // {t, state}, at multiples of `every`
    this.every = 1;
  }

  add(kind) {
    const last = this.runs.at(-1);
    if (last?.[0] === kind) last[1] += 1;
    else this.runs.push([kind, 1]);
    this.length += 1;
  }

  /** Keep a state that was reached; when there are too many, every second one goes. */
  keep(t, make) {
    if (t % this.every || this.frames.at(-1)?.t >= t) return;
    this.frames.push({ t, state: make() });
    if (this.frames.length <= MOST_FRAMES) return;
    this.every *= 2;
    this.frames = this.frames.filter((frame) => frame.t % this.every === 0);
  }

  before(t) {
    return this.frames.findLast((frame) => frame.t <= t);
  }

  /** The kinds of moves number `from` to `to`. */
  kinds(from, to) {
    const list = [];
    let at = 0;
    for (const [kind, n] of this.runs) {
      for (let i = Math.max(from, at); i < Math.min(to, at + n); i++) list.push(kind);
      at += n;
    }
    return list;
  }

  /** Forget what came after t. */
  cut(t) {
    let left = t;
    this.runs = this.runs.map(([kind, n]) => {
      const kept = Math.min(n, left);
      left -= kept;
      return [kind, kept];
    }).filter(([, n]) => n > 0);
    this.length = t;
    this.frames = this.frames.filter((frame) => frame.t <= t);
  }

  /** The first t moves as text. */
  text(t) {
    let left = t, out = "";
    for (const [kind, n] of this.runs) {
      const shown = Math.min(n, left);
      if (shown) out += kind + shown;
      left -= shown;
    }
    return out;
  }
}

const MOST_POINTS = 1200;

/** Numbers along a game, thinned by halves so that memory does not grow. */
export class Series {
  constructor(names) {
    this.names = names;
    this.rows = [];
    this.every = 1;
  }

  add(t, values) {
    if (t % this.every) return;
    this.rows.push([t, ...this.names.map((name) => values[name])]);
    if (this.rows.length <= MOST_POINTS) return;
    this.every *= 2;
    this.rows = this.rows.filter(([when]) => when % this.every === 0);
  }

  cut(t) {
    this.rows = this.rows.filter(([when]) => when <= t);
  }
}
