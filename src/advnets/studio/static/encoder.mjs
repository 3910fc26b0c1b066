/** Real pictures in the z of a run: encoded, made again, and the straight line between two. */

import { Brush } from "./brush.mjs";
import { el } from "./dom.mjs";
import { line_between } from "./generator.mjs";
import { picture } from "./picture.mjs";
import { turns } from "./source.mjs";

const STEPS = 9;
const SERVER = "Pictures are encoded by the server: advnets studio RUN serves this page with it.";

export class Encoding {
  constructor(source) {
    Object.assign(this, { source, run: source.run, encodings: turns() });
    const title = el("h3", {}, "Real pictures: x beside G(E(x))");
    if (!source.encodes) {
      this.part = el("section", { "aria-label": "Real pictures" }, title, el("p", {}, this.run.encoder.why ?? SERVER));
      return;
    }
    this.said = el("p", { class: "small", "aria-live": "polite" });
    this.line = el("ul", { class: "sheet", "aria-label": "The line between two pictures" });
    this.brushes = ["a", "b"].map((name) => new Brush(source, { id: `picture-${name}`, title: `Picture ${name}`, erases: false, changed: () => this.encode() }));
    this.made = this.brushes.map(() => el("div", {}));
    const columns = this.brushes.map((brush, i) => el("div", {}, el("h4", {}, brush.title), brush.part, this.made[i]));
    this.part = el("section", { "aria-label": "Real pictures" }, title,
      el("p", { class: "small" }, "z = E(x) is inferred, and G(z) drawn from it. How far the two lie apart is what this G and E miss of x together."),
      el("div", { class: "pair two" }, ...columns), this.said, el("h4", {}, "The straight line between them"),
      el("p", { class: "small" }, "G((1 - t) E(a) + t E(b)) in even steps of t, between the pictures themselves."), this.line);
    this.begin();
  }

  async begin() {
    if (!this.run.test) return this.encode();
    const last = this.run.test.n - 1;
    for (const [i, brush] of this.brushes.entries()) {
      brush.number.value = Math.min(i, last);
      await brush.take(Math.min(i, last));
    }
  }

  async encode() {
    const newest = this.encodings(), { width } = this.source, [a, b] = this.brushes.map(({ x }) => x.slice());
    const both = new Float32Array(2 * width);
    both.set(a);
    both.set(b, width);
    try {
      const z = await this.source.encode(both), d = this.run.z_dim;
      const found = await this.source.decode(line_between(z.subarray(0, d), z.subarray(d), STEPS, "straight"));
      if (newest()) this.show(a, b, found);
    } catch (error) {
      if (newest()) this.said.textContent = error.message;
    }
  }

  show(a, b, found) {
    const { width } = this.source, { run } = this, row = (i) => found.subarray(i * width, (i + 1) * width);
    const ends = [[a, row(0)], [b, row(STEPS - 1)]];
    ends.forEach(([x, made], i) => this.made[i].replaceChildren(
      el("div", { class: "row" }, captioned(run, "x", x), captioned(run, "G(E(x))", made))));
    const cells = [["Picture a", a], ...Array.from({ length: STEPS }, (_, i) => [`Step ${i + 1}`, row(i)]), ["Picture b", b]];
    this.line.replaceChildren(...cells.map(([title, x]) => el("li", {}, picture(run, x, "", title))));
    const errors = ends.map(([x, made]) => rms(x, made).toFixed(3)), { error } = run.encoder;
    const cost = this.source.E ? ` Computed on this page; ${run.encoder.format} weights move a number of z by ${error.toPrecision(2)} in the mean.` : " Computed by the server.";
    this.said.textContent = `Root mean square error of a number: ${errors[0]} of picture a, ${errors[1]} of picture b.${cost}`;
  }
}

function captioned(run, title, x) {
  return el("figure", { class: "half" }, picture(run, x, "large", title), el("figcaption", { class: "small" }, title));
}

function rms(x, y) {
  return Math.sqrt(x.reduce((sum, v, i) => sum + (v - y[i]) ** 2, 0) / x.length);
}
