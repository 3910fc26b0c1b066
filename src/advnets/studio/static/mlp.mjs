/** Multilayer perceptrons in float64: forward, backward and the second pass that R1 needs.
 *
 * Batches are rows in one flat array, (m, features). All weights of a network lie in one flat array
 * `theta`, W as (outputs, inputs) and b after it, layer by layer: a state is a copy of it.
 */

/** Y += A B for A of `rows` x `inner`, B of `inner` x `columns`.
 *
 * The one product behind all passes. A[r][i] lies at a[r * across + i * down], so that a transposed A
 * needs no copy. Blocks of 4 x 4 of A at a time: a number of B serves four rows, and one of Y is read
 * and written once for four products.
 */
function add_product(y, a, b, rows, columns, inner, across, down) {
  if (columns < 4) {
    add_narrow_product(y, a, b, rows, columns, inner, across, down);
    return;
  }
  const fours = rows - (rows % 4), whole = inner - (inner % 4);
  for (let r = 0; r < fours; r += 4) {
    for (let i = 0; i < whole; i += 4) add_block(y, a, b, r, i, columns, across, down);
  }
  for (let r = 0; r < rows; r++) {
    for (let i = r < fours ? whole : 0; i < inner; i++) {
      const s = a[r * across + i * down], b0 = i * columns, to = r * columns;
      for (let c = 0; c < columns; c++) y[to + c] += s * b[b0 + c];
    }
  }
}

function add_block(y, a, b, r, i, columns, across, down) {
  const p = r * across + i * down, q = p + across, s = q + across, t = s + across;
  const p0 = a[p], p1 = a[p + down], p2 = a[p + 2 * down], p3 = a[p + 3 * down];
  const q0 = a[q], q1 = a[q + down], q2 = a[q + 2 * down], q3 = a[q + 3 * down];
  const s0 = a[s], s1 = a[s + down], s2 = a[s + 2 * down], s3 = a[s + 3 * down];
  const t0 = a[t], t1 = a[t + down], t2 = a[t + 2 * down], t3 = a[t + 3 * down];
  const b0 = i * columns, b1 = b0 + columns, b2 = b1 + columns, b3 = b2 + columns;
  const y0 = r * columns, y1 = y0 + columns, y2 = y1 + columns, y3 = y2 + columns;
  for (let c = 0; c < columns; c++) {
    const d = b[b0 + c], e = b[b1 + c], f = b[b2 + c], g = b[b3 + c];
    y[y0 + c] = y[y0 + c] + p0 * d + p1 * e + p2 * f + p3 * g;
    y[y1 + c] = y[y1 + c] + q0 * d + q1 * e + q2 * f + q3 * g;
    y[y2 + c] = y[y2 + c] + s0 * d + s1 * e + s2 * f + s3 * g;
    y[y3 + c] = y[y3 + c] + t0 * d + t1 * e + t2 * f + t3 * g;
  }
}

/** The same for few columns: points, logits. Four rows of Y at a time, each sum in a register. */
function add_narrow_product(y, a, b, rows, columns, inner, across, down) {
  const whole = rows - (rows % 4);
  for (let c = 0; c < columns; c++) {
    for (let r = 0; r < whole; r += 4) {
      const to = r * columns + c;
      let s = y[to], t = y[to + columns], u = y[to + 2 * columns], v = y[to + 3 * columns];
      for (let i = 0, at = r * across; i < inner; i++, at += down) {
        const d = b[i * columns + c];
        s += a[at] * d; t += a[at + across] * d; u += a[at + 2 * across] * d; v += a[at + 3 * across] * d;
      }
      y[to] = s; y[to + columns] = t; y[to + 2 * columns] = u; y[to + 3 * columns] = v;
    }
    for (let r = whole; r < rows; r++) {
      for (let i = 0; i < inner; i++) y[r * columns + c] += a[r * across + i * down] * b[i * columns + c];
    }
  }
}

/** Rows to columns. */
function transpose(a, rows, columns, to) {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) to[c * rows + row] = a[row * columns + c];
  }
}

/** y = x W' + b for m rows. */
function affine(x, m, { W, b, inputs, outputs }, { y, turned_W }) {
  transpose(W, outputs, inputs, turned_W);
  for (let at = 0; at < y.length; at += outputs) for (let o = 0; o < outputs; o++) y[at + o] = b[o];
  add_product(y, x, turned_W, m, outputs, inputs, inputs, 1);
}

/** dx = dy W. */
function to_inputs({ dy, dx }, m, { W, inputs, outputs }) {
  dx.fill(0);
  add_product(dx, dy, W, m, inputs, outputs, outputs, 1);
}

/** dW += dy' x and, where it is wanted, db += the sum of dy over rows. */
function to_weights({ dy }, x, m, { dW, db, inputs, outputs }, biases) {
  add_product(dW, dy, x, outputs, inputs, m, 1, outputs);
  if (biases) for (let at = 0; at < dy.length; at += outputs) for (let o = 0; o < outputs; o++) db[o] += dy[at + o];
}

/** Values of the affine outputs y to values h of the units; `won` notes each maxout's piece. */
function activate(layer, y, h, won, m) {
  const { unit, units, outputs, pieces } = layer;
  if (unit === "relu") {
    for (let i = 0; i < y.length; i++) h[i] = 0.5 * (y[i] + Math.abs(y[i])); // max(y, 0) without a branch, exactly
    return;
  }
  if (unit !== "maxout") {
    for (let i = 0; i < y.length; i++) h[i] = squashed(unit, y[i]);
    return;
  }
  for (let row = 0; row < m; row++) {
    for (let q = 0; q < units; q++) {
      let best = row * outputs + q;
      for (let j = 1; j < pieces; j++) {
        const other = row * outputs + j * units + q;
        if (y[other] > y[best]) best = other;
      }
      won[row * units + q] = best;
      h[row * units + q] = y[best];
    }
  }
}

function squashed(unit, y) {
  if (unit === "sigmoid") return 1 / (1 + Math.exp(-y));
  return unit === "tanh" ? Math.tanh(y) : y;
}

/** The derivative of a unit by its own value: all of ours can be told from it. */
function derivative(unit, h) {
  if (unit === "relu") return h > 0 ? 1 : 0;
  if (unit === "sigmoid") return h * (1 - h);
  return unit === "tanh" ? 1 - h * h : 1;
}

/** dh to dy: through the rectifier, the winning piece or the squash. */
function through_units(layer, dh, h, won, dy) {
  if (layer.unit === "maxout") {
    dy.fill(0);
    for (let i = 0; i < dh.length; i++) dy[won[i]] = dh[i];
  } else if (layer.unit === "relu") {
    for (let i = 0; i < dh.length; i++) dy[i] = dh[i] * Number(h[i] > 0); // a branch would be mispredicted half the time
  } else {
    for (let i = 0; i < dh.length; i++) dy[i] = dh[i] * derivative(layer.unit, h[i]);
  }
}

/** A layer's description with its place in theta. */
function placed(spec, at) {
  const { inputs, units, unit = "linear", pieces = 1 } = spec;
  const outputs = unit === "maxout" ? units * pieces : units;
  const bias = at + outputs * inputs;
  return { inputs, units, unit, pieces, outputs, weight: at, bias, end: bias + outputs };
}

export class Mlp {
  /** @param specs Layers: {inputs, units, unit: relu | maxout | sigmoid | tanh | linear, pieces}. */
  constructor(specs) {
    let at = 0;
    const layers = specs.map((spec) => {
      const layer = placed(spec, at);
      at = layer.end;
      return layer;
    });
    this.theta = new Float64Array(at);
    this.gradient = new Float64Array(at);
    this.layers = layers.map((layer) => ({ ...layer, ...this.parts(layer) }));
    this.room = new Map();
  }

  get inputs() {
    return this.layers[0].inputs;
  }

  get outputs() {
    return this.layers.at(-1).units;
  }

  /** Weights uniform in +-1/sqrt(inputs), biases zero. */
  init(rng) {
    for (const layer of this.layers) {
      const range = 1 / Math.sqrt(layer.inputs);
      for (let i = layer.weight; i < layer.bias; i++) this.theta[i] = range * (2 * rng.uniform() - 1);
      this.theta.fill(0, layer.bias, layer.end);
    }
    return this;
  }

  /** W and b of a layer and their gradients, as views. */
  parts({ weight, bias, end }) {
    const { theta, gradient } = this;
    return { W: theta.subarray(weight, bias), b: theta.subarray(bias, end), dW: gradient.subarray(weight, bias), db: gradient.subarray(bias, end) };
  }

  /** Memory for m rows, made once: a step then leaves no garbage behind. */
  memory(m) {
    let room = this.room.get(m);
    if (room) return room;
    if (this.room.size > 6) this.room.clear();
    room = this.layers.map(({ inputs, outputs, units, unit }) => ({
      y: new Float64Array(m * outputs),
      h: new Float64Array(m * units),
      won: unit === "maxout" ? new Int32Array(m * units) : null,
      dy: new Float64Array(m * outputs),
      dx: new Float64Array(m * inputs),
      turned_W: new Float64Array(inputs * outputs),
    }));
    this.room.set(m, room);
    return room;
  }

  /** Outputs of m rows. What is given back is overwritten by the next pass of as many rows. */
  forward(x, m) {
    const room = this.memory(m);
    let h = x;
    for (let l = 0; l < this.layers.length; l++) {
      const layer = this.layers[l], { y, won } = room[l];
      affine(h, m, layer, room[l]);
      activate(layer, y, room[l].h, won, m);
      h = room[l].h;
    }
    this.seen = { x, m };
    return h;
  }

  /** The gradient in x of the last forward pass, given that in its outputs.
   *
   * @param weights Whether the gradient in theta is added to `gradient` too.
   * @param inputs Whether the gradient in x is wanted; else null comes back.
   */
  backward(dh, { weights = true, inputs = true } = {}) {
    const { x, m } = this.seen, room = this.memory(m);
    for (let l = this.layers.length - 1; l >= 0; l--) {
      const layer = this.layers[l], { h, won, dy, dx } = room[l];
      through_units(layer, dh, h, won, dy);
      if (weights) to_weights(room[l], l ? room[l - 1].h : x, m, layer, true);
      if (l === 0 && !inputs) return null;
      to_inputs(room[l], m, layer);
      dh = dx;
    }
    return dh;
  }

  /** Add the gradient of sum_i u_i . grad_x a(x_i) in theta, for one linear output a.
   *
   * u is held constant. Rectifiers and maxout are linear where they stand, so the derivative of
   * a(x + t u) in t is a pass of u through the same pieces without biases, and its gradient in each
   * W is the outer product of what came down in `backward` and what goes up here.
   */
  through_gradient(u) {
    const { m } = this.seen, room = this.memory(m);
    let t = u;
    this.layers.forEach((layer, l) => {
      to_weights(room[l], t, m, layer, false);
      t = this.tangent(layer, room[l], t, m);
    });
  }

  tangent(layer, { h, won, turned_W }, t, m) {
    const y = new Float64Array(m * layer.outputs);
    add_product(y, t, turned_W, m, layer.outputs, layer.inputs, layer.inputs, 1);
    if (layer.unit === "maxout") return Float64Array.from(won, (at) => y[at]);
    return y.map((v, i) => v * derivative(layer.unit, h[i]));
  }
}
