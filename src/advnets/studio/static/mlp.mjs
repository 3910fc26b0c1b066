/** Multilayer perceptrons in float64: forward, backward and the second pass that R1 needs.
 *
 * Batches are rows in one flat array, (m, features). All weights of a network lie in one flat array
 * `theta`, W as (outputs, inputs) and b after it, layer by layer: a state is a copy of it.
 */

/** y += a b' for a of `rows` rows and b of `columns`, both of `inner` numbers a row.
 *
 * The one product behind all passes. Two rows and four columns at a time: each number read serves
 * several, and nothing is written within the sum.
 */
function add_product(y, a, b, rows, columns, inner) {
  if (inner <= 2) {
    add_narrow_product(y, a, b, rows, columns, inner);
    return;
  }
  const whole = columns - (columns % 4), paired = rows - (rows % 2);
  for (let row = 0; row < paired; row += 2) {
    for (let c = 0; c < whole; c += 4) block(y, a, b, row, c, columns, inner);
  }
  if (paired < rows) for (let c = 0; c < whole; c += 4) strip(y, a, b, paired, c, columns, inner);
  for (let c = whole; c < columns; c++) column(y, a, b, rows, c, columns, inner);
}

/** The same for one or two inner numbers: points, logits, z. */
function add_narrow_product(y, a, b, rows, columns, inner) {
  for (let row = 0, at = 0; row < rows; row++) {
    const u = a[row * inner], v = inner === 2 ? a[row * inner + 1] : 0;
    if (inner === 2) for (let c = 0; c < columns; c++) y[at++] += u * b[2 * c] + v * b[2 * c + 1];
    else for (let c = 0; c < columns; c++) y[at++] += u * b[c];
  }
}

function block(y, a, b, row, c, columns, inner) {
  const a0 = row * inner, a1 = a0 + inner, y0 = row * columns + c, y1 = y0 + columns;
  const b0 = c * inner, b1 = b0 + inner, b2 = b1 + inner, b3 = b2 + inner;
  let p0 = y[y0], p1 = y[y0 + 1], p2 = y[y0 + 2], p3 = y[y0 + 3];
  let q0 = y[y1], q1 = y[y1 + 1], q2 = y[y1 + 2], q3 = y[y1 + 3];
  for (let i = 0; i < inner; i++) {
    const u = a[a0 + i], v = a[a1 + i];
    const d = b[b0 + i], e = b[b1 + i], f = b[b2 + i], g = b[b3 + i];
    p0 += u * d; p1 += u * e; p2 += u * f; p3 += u * g;
    q0 += v * d; q1 += v * e; q2 += v * f; q3 += v * g;
  }
  y[y0] = p0; y[y0 + 1] = p1; y[y0 + 2] = p2; y[y0 + 3] = p3;
  y[y1] = q0; y[y1 + 1] = q1; y[y1 + 2] = q2; y[y1 + 3] = q3;
}

/** One row and four columns: the last row of an odd number. */
function strip(y, a, b, row, c, columns, inner) {
  const a0 = row * inner, y0 = row * columns + c;
  const b0 = c * inner, b1 = b0 + inner, b2 = b1 + inner, b3 = b2 + inner;
  let p0 = y[y0], p1 = y[y0 + 1], p2 = y[y0 + 2], p3 = y[y0 + 3];
  for (let i = 0; i < inner; i++) {
    const u = a[a0 + i];
    p0 += u * b[b0 + i]; p1 += u * b[b1 + i]; p2 += u * b[b2 + i]; p3 += u * b[b3 + i];
  }
  y[y0] = p0; y[y0 + 1] = p1; y[y0 + 2] = p2; y[y0 + 3] = p3;
}

/** One column, four rows at a time: columns left over by the blocks. */
function column(y, a, b, rows, c, columns, inner) {
  const b0 = c * inner, fours = rows - (rows % 4);
  for (let row = 0; row < fours; row += 4) {
    const a0 = row * inner, a1 = a0 + inner, a2 = a1 + inner, a3 = a2 + inner, y0 = row * columns + c;
    let p0 = y[y0], p1 = y[y0 + columns], p2 = y[y0 + 2 * columns], p3 = y[y0 + 3 * columns];
    for (let i = 0; i < inner; i++) {
      const d = b[b0 + i];
      p0 += a[a0 + i] * d; p1 += a[a1 + i] * d; p2 += a[a2 + i] * d; p3 += a[a3 + i] * d;
    }
    y[y0] = p0; y[y0 + columns] = p1; y[y0 + 2 * columns] = p2; y[y0 + 3 * columns] = p3;
  }
  for (let row = fours; row < rows; row++) {
    let p = y[row * columns + c];
    for (let i = 0; i < inner; i++) p += a[row * inner + i] * b[b0 + i];
    y[row * columns + c] = p;
  }
}

/** Rows to columns. */
function transpose(a, rows, columns, to) {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) to[c * rows + row] = a[row * columns + c];
  }
}

/** y = x W' + b for m rows. */
function affine(x, m, { W, b, inputs, outputs }, y) {
  for (let at = 0; at < y.length; at += outputs) for (let o = 0; o < outputs; o++) y[at + o] = b[o];
  add_product(y, x, W, m, outputs, inputs);
}

/** dx = dy W. */
function to_inputs({ dy, dx, turned_W }, m, { W, inputs, outputs }) {
  transpose(W, outputs, inputs, turned_W);
  dx.fill(0);
  add_product(dx, dy, turned_W, m, inputs, outputs);
}

/** dW += dy' x and, where it is wanted, db += the sum of dy over rows. */
function to_weights({ dy, turned_dy, turned_x }, x, m, { dW, db, inputs, outputs }, biases) {
  transpose(dy, m, outputs, turned_dy);
  transpose(x, m, inputs, turned_x);
  add_product(dW, turned_dy, turned_x, outputs, inputs, m);
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
      turned_dy: new Float64Array(m * outputs),
      turned_x: new Float64Array(m * inputs),
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
      affine(h, m, layer, y);
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

  tangent(layer, { h, won }, t, m) {
    const y = new Float64Array(m * layer.outputs);
    add_product(y, t, layer.W, m, layer.outputs, layer.inputs);
    if (layer.unit === "maxout") return Float64Array.from(won, (at) => y[at]);
    return y.map((v, i) => v * derivative(layer.unit, h[i]));
  }
}
