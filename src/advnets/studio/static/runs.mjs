/** Trained runs: samples by seed, sliders through z, a line, a plane, neighbours, training, live. */

import { button, by_id, el } from "./dom.mjs";
import { Encoding } from "./encoder.mjs";
import { Eraser } from "./eraser.mjs";
import { bytes_of, floats_of, line_between, nearest, plane, text_of } from "./generator.mjs";
import { picture, scatter, values_of } from "./picture.mjs";
import { Source, turns } from "./source.mjs";
import { Training } from "./training.mjs";

const SHEET = 32, MOST_SHOWN = 64, STEPS = 9, SIDE = 5, SLIDERS = 6;

const opened = turns();

/** The tabs: the game, and each run. A page that watches one begins with it. */
export function make_tabs(runs) {
  if (!runs.length) return;
  const first = "watch" in document.documentElement.dataset ? 1 : 0;
  const views = [["The game", null], ...runs.map((run) => [run.name, run])];
  const tabs = views.map(([title, run], i) => button(title, () => {
    by_id("game-view").hidden = Boolean(run);
    by_id("run-view").hidden = !run;
    tabs.forEach((tab, j) => (i === j ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current")));
    Training.events?.close();
    opened();
    if (run) new RunView(run, i - 1);
  }, i === first ? { "aria-current": "page" } : {}));
  by_id("tabs").replaceChildren(...tabs);
  if (first) tabs[first].click();
}

class RunView {
  constructor(run, number) {
    Object.assign(this, { run, number, source: new Source(run, number), picked: 0, other: 1, seed: 0 });
    Object.assign(this, { sheets: turns(), ones: turns(), betweens: turns(), open: opened() });
    this.image = run.shape.length === 3;
    this.chosen = run.classes?.[0];
    this.said = el("p", { class: "small", "aria-live": "polite" });
    by_id("run-view").replaceChildren(this.head(), ...this.parts());
    if (run.sheet) this.came_along();
  }

  head() {
    const { run, source } = this, at = run.update === undefined ? "" : `, update ${run.update.toLocaleString("en")} (${run.checkpoint})`;
    return el("section", {}, el("h2", {}, `Run ${run.name}${at}`), el("p", {}, source.words), this.said);
  }

  parts() {
    const parts = [];
    if (this.run.sheet) parts.push(this.sheet_part());
    if (this.image && this.run.completes) parts.push(this.eraser_part());
    if (this.source.decodes && this.image) parts.push(this.sample_part(), this.between_part());
    if (this.image && this.run.encoder) parts.push(new Encoding(this.source).part);
    this.training = new Training(this.source, (run) => this.open() && new RunView(run, this.number));
    return [...parts, this.training.part];
  }

  eraser_part() {
    if (this.source.completes) return new Eraser(this.source).part;
    return el("section", { "aria-label": "The eraser" }, el("h3", {}, "The eraser"), el("p", {}, "Erased pixels are filled in by the server: advnets studio RUN serves this page with it."));
  }

  // Samples by seed

  sheet_part() {
    this.sheet = el("ul", { class: "sheet", "aria-label": "Samples" });
    const seed = el("input", { type: "number", id: "run-seed", min: 0, max: 999999, value: 0, onchange: () => this.sampled(Number(seed.value)) });
    const tools = [el("label", { for: "run-seed" }, "Seed"), seed, button("Next seed", () => {
      seed.value = Number(seed.value) + 1;
      this.sampled(Number(seed.value));
    })];
    if (this.run.classes?.length) tools.push(...this.class_chooser());
    const words = "None is picked: these are the first samples of the seed. x = G(z), z from the prior. Choose one to look into it, two for the line between them.";
    return el("section", { "aria-label": "Samples by seed" }, el("h3", {}, "Samples"), el("p", { class: "small" }, words),
      el("div", { class: "row" }, ...(this.source.decodes ? tools : [])), this.sheet);
  }

  class_chooser() {
    const options = this.run.classes.map((name) => el("option", { value: name }, name));
    const select = el("select", { id: "run-class", onchange: () => {
      this.chosen = select.value;
      this.sampled(this.seed);
    } }, ...options);
    return [el("label", { for: "run-class" }, "Class"), select];
  }

  came_along() {
    const { sheet } = this.run;
    if (this.source.G) this.say(`This page's G and torch's differ by at most ${this.source.difference().toExponential(1)} on samples that came along.`);
    this.show(sheet.z ? floats_of(sheet.z) : null, floats_of(sheet.x));
  }

  async sampled(seed) {
    this.seed = seed;
    await this.guarded(this.sheets, async (newest) => {
      const z = this.source.noise(SHEET, seed), x = await this.source.decode(z, this.chosen);
      if (!newest()) return;
      this.show(z, x);
      this.say(`Samples of seed ${seed}.`);
    });
  }

  show(z, x) {
    Object.assign(this, { z, x });
    const { width } = this.source, n = Math.min(this.image ? MOST_SHOWN : Infinity, x.length / width);
    if (!this.image) {
      this.sheet.replaceChildren(el("li", {}, scatter(x, width)));
      return;
    }
    const items = Array.from({ length: n }, (_, i) => {
      const press = button("", () => this.pick(i), { "aria-label": `Sample ${i}`, "aria-pressed": "false" });
      press.append(this.picture(x.subarray(i * width, (i + 1) * width)));
      return el("li", {}, press);
    });
    this.sheet.replaceChildren(...items);
    if (this.source.decodes) this.pick(1), this.pick(0);
  }

  // One sample

  sample_part() {
    this.large = el("div", {});
    this.beside = el("div", {});
    this.sliders = el("div", {});
    return el("section", { "aria-label": "One sample" }, el("h3", {}, "One sample, and z moved"),
      el("p", { class: "small" }, "Each slider moves one coordinate of z, the ones that the first layer listens to most; beside it stands the training image that is nearest by the sum of squares, as in the right column of Figure 2."),
      el("div", { class: "pair" }, this.sliders, this.large, this.beside));
  }

  pick(i) {
    if (!this.source.decodes || !this.z) return;
    [this.picked, this.other] = i === this.picked ? [this.picked, this.other] : [i, this.picked];
    [...this.sheet.querySelectorAll("button")].forEach((press, j) => press.setAttribute("aria-pressed", String(j === this.picked || j === this.other)));
    const d = this.run.z_dim;
    this.at = this.z.slice(this.picked * d, (this.picked + 1) * d);
    this.make_sliders();
    this.guarded(this.ones, (newest) => this.moved(newest));
    this.guarded(this.betweens, (newest) => this.between(newest));
  }

  make_sliders() {
    const fields = this.loudest().map((j) => {
      const input = el("input", { type: "range", id: `z-${j}`, min: -3, max: 3, step: 0.05, oninput: () => {
        this.at[j] = Number(input.value);
        this.guarded(this.ones, (newest) => this.moved(newest));
      } });
      input.value = this.at[j];
      return el("div", { class: "field" }, el("label", { for: `z-${j}` }, `z ${j + 1}`), input);
    });
    this.sliders.replaceChildren(...fields);
  }

  /** The coordinates of z with the largest weights into the first layer. */
  loudest() {
    const d = this.run.z_dim, all = Array.from({ length: d }, (_, j) => j), first = this.source.G?.layers[0];
    if (!first) return all.slice(0, SLIDERS);
    const size = all.map((j) => {
      let sum = 0;
      for (let o = 0; o < first.units; o++) sum += first.W[o * first.inputs + j] ** 2;
      return sum;
    });
    return all.sort((a, b) => size[b] - size[a]).slice(0, SLIDERS);
  }

  async moved(newest) {
    const x = await this.source.decode(this.at, this.chosen);
    if (!newest()) return;
    this.large.replaceChildren(el("figure", {}, el("figcaption", {}, "G(z)"), this.picture(x, "large")));
    if (this.source.served && this.run.near) await this.nearest_of_all(x, newest);
    else this.nearest_here(x);
  }

  nearest_here(x) {
    const { near, span: [low, high] } = this.run;
    if (!near) {
      this.beside.replaceChildren(el("p", { class: "small" }, "The training images are not at hand."));
      return;
    }
    this.near_bytes ??= bytes_of(near.x);
    const { row } = nearest(x.map((v) => (255 * (v - low)) / (high - low)), this.near_bytes, this.source.width);
    const values = values_of(this.near_bytes.subarray(row * this.source.width, (row + 1) * this.source.width), [low, high]);
    this.neighbour(values, `of ${near.n.toLocaleString("en")} of ${near.of.toLocaleString("en")}`);
  }

  async nearest_of_all(x, newest) {
    const told = await this.source.ask("near", { x: text_of(x) });
    if (newest()) this.neighbour(floats_of(told.x), `of all ${told.of.toLocaleString("en")}`);
  }

  neighbour(x, words) {
    this.beside.replaceChildren(el("figure", {}, el("figcaption", {}, "Nearest training image ", el("span", { class: "small" }, words)), this.picture(x, "large")));
  }

  // Between samples

  between_part() {
    this.line = el("ul", { class: "sheet", "aria-label": "The line" });
    this.plane = el("ul", { class: "sheet", "aria-label": "The plane" });
    this.plane.style.setProperty("grid-template-columns", `repeat(${SIDE}, minmax(0, 4.5rem))`);
    return el("section", { "aria-label": "Between samples" }, el("h3", {}, "The line between two samples (Figure 3)"),
      el("p", { class: "small" }, "G((1 - t) a + t b) in even steps of t. Pictures that change smoothly speak of a G that has learnt more than examples."), this.line,
      el("h3", {}, "A plane through z"),
      el("p", { class: "small" }, "The chosen sample stands in the middle, the other one at the right edge; upwards lies a third. Beyond them z is less likely than the prior has it."), this.plane);
  }

  async between(newest) {
    const d = this.run.z_dim, n = this.z.length / d, row = (i) => this.z.subarray(i * d, (i + 1) * d);
    const a = row(this.picked), b = row(this.other), c = row((Math.max(this.picked, this.other) + 1) % n);
    const line = await this.source.decode(line_between(a, b, STEPS, this.run.prior), this.chosen);
    if (newest()) this.fill(this.line, line, "Step");
    const places = await this.source.decode(plane(a, b, c, SIDE), this.chosen);
    if (newest()) this.fill(this.plane, places, "Place");
  }

  fill(list, x, word) {
    const { width } = this.source;
    list.replaceChildren(...Array.from({ length: x.length / width }, (_, i) => {
      const picture = this.picture(x.subarray(i * width, (i + 1) * width));
      picture.setAttribute("aria-label", `${word} ${i + 1}`);
      return el("li", {}, picture);
    }));
  }

  picture(x, size) {
    return picture(this.run, x, size);
  }

  // Words

  say(text) {
    this.said.textContent = text;
  }

  /** Ask one of `turns`; an error is said while nothing newer was asked of it. */
  async guarded(turn, act) {
    const newest = turn();
    try {
      await act(newest);
    } catch (error) {
      if (newest()) this.say(error.message);
    }
  }
}
