/** G or E of a trained run: a multilayer perceptron in float32, from weights of fewer bits. */

const LEAK = 0.2; // of an encoder's rectifiers

export function bytes_of(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

export function floats_of(text) {
  return new Float32Array(bytes_of(text).buffer);
}

export function text_of(floats) {
  let letters = "";
  for (const byte of new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength)) letters += String.fromCharCode(byte);
  return btoa(letters);
}

/** The number that 16 bits stand for: sign, 5 of exponent, 10 of fraction. */
export function from_half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function weights_of({ weight, wide, order, scales, inputs, units, format }) {
  const bytes = bytes_of(weight);
  if (format === "float32") return new Float32Array(bytes.buffer);
  if (format === "float16") return Float32Array.from(new Uint16Array(bytes.buffer), from_half);
  const W = new Float32Array(units * inputs), s = floats_of(scales), few = bytes.length / units;
  const placed = (integers, first, scale) => {
    const n = integers.length / units; // columns of these bits
    integers.forEach((q, i) => (W[Math.floor(i / n) * inputs + order[first + (i % n)]] = q * scale[Math.floor(i / n)]));
  };
  placed(new Int8Array(bytes.buffer), 0, s);
  placed(new Int16Array(bytes_of(wide).buffer), few, s.subarray(units));
  return W;
}

export class Generator {
  constructor(layers) {
    this.layers = layers.map((layer) => ({
      inputs: layer.inputs, units: layer.units, unit: layer.unit,
      W: weights_of(layer), b: floats_of(layer.bias), h: new Float32Array(layer.units),
    }));
    this.inputs = this.layers[0].inputs;
    this.outputs = this.layers.at(-1).units;
  }

  /** G(z) of one z; what comes back is overwritten by the next. */
  one(z) {
    let x = z;
    for (const layer of this.layers) {
      layer_of(layer, x);
      x = layer.h;
    }
    return x;
  }

  /** G of rows of z, which may have a context after each. */
  rows(z) {
    const n = z.length / this.inputs, x = new Float32Array(n * this.outputs);
    for (let i = 0; i < n; i++) x.set(this.one(z.subarray(i * this.inputs, (i + 1) * this.inputs)), i * this.outputs);
    return x;
  }
}

/** Eight units at a time; inputs that a rectifier has set to 0 are passed over. */
function layer_of({ inputs, units, unit, W, b, h }, x) {
  const some = new Int32Array(inputs);
  let n = 0;
  for (let i = 0; i < inputs; i++) if (x[i] !== 0) some[n++] = i;
  for (let o = 0; o < units; o++) {
    const w = o * inputs;
    let s0 = b[o], s1 = 0, s2 = 0, s3 = 0, k = 0;
    for (; k + 3 < n; k += 4) {
      s0 += x[some[k]] * W[w + some[k]];
      s1 += x[some[k + 1]] * W[w + some[k + 1]];
      s2 += x[some[k + 2]] * W[w + some[k + 2]];
      s3 += x[some[k + 3]] * W[w + some[k + 3]];
    }
    for (; k < n; k++) s0 += x[some[k]] * W[w + some[k]];
    const y = s0 + s1 + s2 + s3;
    h[o] = unit === "relu" ? Math.max(y, 0) : unit === "sigmoid" ? 1 / (1 + Math.exp(-y)) : unit === "leaky" && y < 0 ? LEAK * y : y;
  }
}

/** The number of the row of `table` nearest to x, and its distance. */
export function nearest(x, table, width) {
  let best = -1, least = Infinity;
  for (let row = 0; row * width < table.length; row++) {
    let square = 0;
    for (let i = 0; i < width && square < least; i++) square += (x[i] - table[row * width + i]) ** 2;
    if (square < least) [best, least] = [row, square];
  }
  return { row: best, distance: Math.sqrt(least) };
}

/** Points between two z in even steps; on the sphere the line is brought back to its norm. */
export function line_between(a, b, steps, prior) {
  const out = new Float32Array(steps * a.length);
  for (let s = 0; s < steps; s++) {
    const t = s / (steps - 1), row = out.subarray(s * a.length, (s + 1) * a.length);
    for (let i = 0; i < a.length; i++) row[i] = (1 - t) * a[i] + t * b[i];
    if (prior === "spherical") to_norm(row);
  }
  return out;
}

function to_norm(row) {
  const norm = Math.hypot(...row) || 1;
  for (let i = 0; i < row.length; i++) row[i] /= norm;
}

/** A side x side grid of z: a at its middle, b and c half way to the right and upper edge. */
export function plane(a, b, c, side) {
  const out = new Float32Array(side * side * a.length);
  for (let r = 0; r < side; r++) {
    for (let q = 0; q < side; q++) {
      const u = (2 * q) / (side - 1) - 1, v = 1 - (2 * r) / (side - 1), at = (r * side + q) * a.length;
      for (let i = 0; i < a.length; i++) out[at + i] = a[i] + u * (b[i] - a[i]) + v * (c[i] - a[i]);
    }
  }
  return out;
}
