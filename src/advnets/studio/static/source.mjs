/** Where samples of a run come from: this page, the server behind it, or the sheet that came along. */

import { Generator, bytes_of, floats_of, text_of } from "./generator.mjs";
import { values_of } from "./picture.mjs";
import { Rng, noise } from "./rng.mjs";

const AT_ONCE = 4; // samples between two breaths of the page

/** Answers may come in another order than their questions. Each call asks anew, and returns what says
 * whether nothing was asked since. */
export function turns() {
  let newest = 0;
  return () => {
    const own = (newest += 1);
    return () => own === newest;
  };
}

export class Source {
  constructor(run, number) {
    Object.assign(this, { run, number, served: "served" in document.documentElement.dataset });
    this.G = run.layers ? new Generator(run.layers) : null;
    this.E = run.encoder?.layers ? new Generator(run.encoder.layers) : null;
    this.width = run.shape.reduce((a, b) => a * b, 1);
  }

  /** Whether any z can be asked for. */
  get decodes() {
    return Boolean(this.run.z_dim) && (this.G !== null || this.served);
  }

  /** Whether hidden pixels can be filled in. */
  get completes() {
    return Boolean(this.run.completes) && (this.G !== null || this.served);
  }

  /** Whether pictures can be encoded, and made again. */
  get encodes() {
    return this.decodes && Boolean(this.run.encoder) && !this.run.encoder.why && (this.E !== null || this.served);
  }

  get words() {
    const { run } = this;
    if (!run.sheet) return run.why;
    if (this.G) {
      const { mean, largest, samples } = run.error, [low, high] = run.span;
      const part = (v) => `${((255 * v) / (high - low)).toPrecision(2)}/255`;
      return `Computed on this page, in ${run.format} weights. Against the run's own: mean difference ${part(mean)}, largest ${part(largest)}, over ${samples} samples.`;
    }
    return this.served ? "Computed by the server: this G is too large for the page, or no multilayer perceptron." : "These samples came with the page. Others need the server: advnets studio RUN.";
  }

  noise(n, seed) {
    return Float32Array.from(noise(this.run.prior, n, this.run.z_dim, new Rng(seed, "samples")));
  }

  /** G of rows of z, of one class where there are classes. */
  async decode(z, chosen) {
    if (!this.G) return floats_of((await this.ask("decode", { z: text_of(z), class: chosen })).x);
    return this.computed(this.G, this.beside(z, this.told(chosen)));
  }

  /** Outputs of a network, some rows at a time, so that the page goes on living. */
  async computed(network, rows) {
    const step = AT_ONCE * network.inputs, out = new Float32Array((rows.length / network.inputs) * network.outputs);
    for (let at = 0; at < rows.length; at += step) {
      out.set(network.rows(rows.subarray(at, at + step)), (at / network.inputs) * network.outputs);
      await new Promise((go) => setTimeout(go));
    }
    return out;
  }

  /** What G is told beside z: a one-hot class of norm sqrt(K), as the library encodes it; of all
   * conditionals that nothing is seen; else nothing. */
  told(chosen) {
    const K = this.run.classes.length, out = new Float32Array(this.run.told ?? K);
    if (K) out[this.run.classes.indexOf(chosen)] = Math.sqrt(K);
    return out;
  }

  /** Rows of z, each followed by the same numbers. */
  beside(z, told) {
    const d = this.run.z_dim, n = z.length / d, width = d + told.length, out = new Float32Array(n * width);
    for (let i = 0; i < n; i++) {
      out.set(z.subarray(i * d, (i + 1) * d), i * width);
      out.set(told, i * width + d);
    }
    return out;
  }

  /** n completions of one picture; the mask is 1 where a pixel is seen. What is seen stays as it is. */
  async complete(x, mask, n, seed) {
    if (!this.G) return floats_of((await this.ask("complete", { x: text_of(x), mask: text_of(mask), n, seed })).x);
    const told = new Float32Array(x.length + mask.length), seen = (i) => mask[i % mask.length] > 0;
    for (let i = 0; i < x.length; i++) if (seen(i)) told[i] = x[i];
    told.set(mask, x.length);
    const found = await this.computed(this.G, this.beside(this.noise(n, seed), told));
    return found.map((v, i) => (seen(i % x.length) ? x[i % x.length] : v));
  }

  /** E(x) of rows of pictures. */
  async encode(x) {
    return this.E ? this.computed(this.E, x) : floats_of((await this.ask("encode", { x: text_of(x) })).z);
  }

  /** A test picture by its number; the first ones came along. */
  async test(row) {
    const { test, span } = this.run, { width } = this;
    if (!Number.isInteger(row) || row < 0 || row >= (this.served ? test.of : test.n)) throw new Error(`The number must be from 0 to ${(this.served ? test.of : test.n) - 1}, got ${row}.`);
    if (row >= test.n) return floats_of((await this.ask("test", { row })).x);
    this.test_bytes ??= bytes_of(test.x);
    return values_of(this.test_bytes.subarray(row * width, (row + 1) * width), span);
  }

  /** The largest difference between this page's G and torch's, on the samples that came along. */
  difference(n = 8) {
    const { sheet } = this.run, c = sheet.c ? floats_of(sheet.c) : null;
    const z = floats_of(sheet.z), x = floats_of(sheet.x), d = this.run.z_dim, K = c ? c.length / sheet.n : (this.run.told ?? 0);
    let largest = 0;
    for (let i = 0; i < Math.min(n, sheet.n); i++) {
      const row = new Float32Array(d + K);
      row.set(z.subarray(i * d, (i + 1) * d));
      if (c) row.set(c.subarray(i * K, (i + 1) * K), d);
      const own = this.G.one(row);
      for (let j = 0; j < this.width; j++) largest = Math.max(largest, Math.abs(own[j] - x[i * this.width + j]));
    }
    return largest;
  }

  async ask(what, body) {
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const reply = await fetch(`run-${this.number}/${what}`, options);
    const told = await reply.json();
    if (!reply.ok) throw new Error(told.problem);
    return told;
  }
}
