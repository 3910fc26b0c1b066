/** Seeded random numbers. A stream is named, so that no draw depends on what another part draws. */

const GOLDEN = 0x9e3779b9;
const TWO_53 = 2 ** 53;

/** Mix the bits of a 32-bit word, so that neighbouring seeds have nothing in common. */
function scrambled(word) {
  let h = word >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** One stream: four words of state that are all there is to save (a counter and three mixed). */
export class Rng {
  constructor(seed, name) {
    let h = scrambled(seed + GOLDEN);
    for (const letter of name) h = scrambled(h ^ (letter.codePointAt(0) + GOLDEN));
    this.words = Uint32Array.from([h, scrambled(h + 1), scrambled(h + 2), 1]);
    for (let i = 0; i < 12; i++) this.word();
  }

  /** The next 32 bits: Chris Doty-Humphrey's small fast counting generator. */
  word() {
    const s = this.words;
    const out = (s[0] + s[1] + s[3]) >>> 0;
    s[3] += 1;
    s[0] = s[1] ^ (s[1] >>> 9);
    s[1] = s[2] + (s[2] << 3);
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + out;
    return out;
  }

  /** In [0, 1), with 53 random bits. */
  uniform() {
    return ((this.word() >>> 5) * 67108864 + (this.word() >>> 6)) / TWO_53;
  }

  /** N(0, 1) by Box and Muller; the second of each pair is not kept, so nothing hides in state. */
  normal() {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  below(n) {
    return Math.floor(this.uniform() * n);
  }

  state() {
    return Array.from(this.words);
  }

  load(state) {
    this.words.set(state);
  }
}

const WIDTH = Math.sqrt(3);

/** m draws of z, row by row: the priors of the library, of unit variance but the last. */
export function noise(prior, m, dim, rng) {
  const z = new Float64Array(m * dim);
  for (let i = 0; i < z.length; i++) {
    z[i] = prior === "uniform" ? WIDTH * (2 * rng.uniform() - 1) : rng.normal();
  }
  if (prior === "spherical") onto_sphere(z, dim);
  return z;
}

export function onto_sphere(z, dim) {
  for (let at = 0; at < z.length; at += dim) {
    let square = 0;
    for (let j = 0; j < dim; j++) square += z[at + j] ** 2;
    const scale = 1 / Math.max(Math.sqrt(square), 1e-300);
    for (let j = 0; j < dim; j++) z[at + j] *= scale;
  }
}
