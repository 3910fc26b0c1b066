/** The eraser: hide a part of a picture, and see what a run of all conditionals makes of it. */

import { shown } from "./charts.mjs";
import { button, el } from "./dom.mjs";
import { Brush } from "./brush.mjs";
import { picture } from "./picture.mjs";
import { turns } from "./source.mjs";

const N = 8;

export class Eraser {
  constructor(source) {
    Object.assign(this, { source, run: source.run, seed: 0, completions: turns() });
    this.out = el("ul", { class: "sheet completions", "aria-label": "Completions" });
    this.said = el("p", { class: "small", "aria-live": "polite" });
    this.brush = new Brush(source, { id: "erase", title: "The picture to erase from", erases: true, changed: () => this.complete() });
    const next = button("Eight others", () => {
      this.seed += 1;
      this.complete();
    });
    this.part = el("section", { "aria-label": "The eraser" }, el("h3", {}, "The eraser: all conditionals (Section 7, extension 3)"),
      el("p", { class: "small" }, "x = m x + (1 - m) G(m x, m, z). What is erased is filled in eight times, each by another z; what is left stays as it is. Their standard deviation shows where what is seen leaves it open: 0 is black, half of the range from black to white is white."),
      el("div", { class: "pair two" }, this.brush.part, el("div", {}, el("div", { class: "row" }, next), this.said, this.out)));
    this.begin();
  }

  async begin() {
    if (!this.run.test || (await this.brush.take(0))) this.brush.halve();
  }

  async complete() {
    const newest = this.completions(), { x, mask, hidden } = this.brush;
    if (!hidden) {
      this.out.replaceChildren();
      this.said.textContent = "Nothing is erased.";
      return;
    }
    try {
      const found = await this.source.complete(x.slice(), mask.slice(), N, this.seed);
      if (newest()) this.show(found, hidden);
    } catch (error) {
      if (newest()) this.said.textContent = error.message;
    }
  }

  show(found, hidden) {
    const { run, source: { width } } = this, { mean, sd } = spread(found, N, width), [low, high] = run.span;
    const cells = Array.from({ length: N }, (_, i) => [`Completion ${i + 1}`, found.subarray(i * width, (i + 1) * width)]);
    cells.push(["Mean", mean], ["Standard deviation", sd.map((s) => low + Math.min(1, (2 * s) / (high - low)) * (high - low))]);
    this.out.replaceChildren(...cells.map(([title, values]) =>
      el("li", {}, el("figure", {}, picture(run, values, "", title), el("figcaption", { class: "small" }, title)))));
    const sum = sd.reduce((a, v) => a + v, 0) / (hidden * run.shape[0]), place = this.source.G ? "this page" : "the server";
    this.said.textContent = `${hidden} of ${this.brush.mask.length} pixels erased; the standard deviation of one of them is ${shown(sum)} in the mean, over ${N} completions. Computed by ${place}.`;
  }
}

/** Mean and standard deviation of n rows, number by number. */
export function spread(rows, n, width) {
  const mean = new Float32Array(width), sd = new Float32Array(width);
  for (let j = 0; j < width; j++) {
    let sum = 0, squares = 0;
    for (let i = 0; i < n; i++) sum += rows[i * width + j];
    mean[j] = sum / n;
    for (let i = 0; i < n; i++) squares += (rows[i * width + j] - sum / n) ** 2;
    sd[j] = Math.sqrt(squares / n);
  }
  return { mean, sd };
}
