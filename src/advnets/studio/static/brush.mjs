/** A picture to be worked on: chosen, uploaded or drawn, and erased, by mouse, touch or keyboard. */

import { button, el } from "./dom.mjs";
import { read_picture } from "./picture.mjs";
import { turns } from "./source.mjs";

const SIDE = 280, PAST = 30;
const TOOLS = { hide: "Erase", show: "Restore", light: "Draw light", dark: "Draw dark" };
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Brush {
  /** @param erases Whether pixels can be hidden. @param changed Called when the picture has changed. */
  constructor(source, { id, title, erases, changed }) {
    const [, height, width] = source.run.shape, [low] = source.run.span;
    Object.assign(this, { source, run: source.run, id, title, erases, changed, height, width, past: [], pressed: false, pictures: turns() });
    this.x = new Float32Array(source.width).fill(low);
    this.mask = new Float32Array(height * width).fill(1);
    this.cursor = [Math.floor(width / 2), Math.floor(height / 2)];
    this.radius = Math.max(0.5, Math.round(width / 14));
    this.said = el("p", { class: "small", "aria-live": "polite" });
    this.part = el("div", {}, ...this.choice(), this.make_canvas(), this.tools(), this.said);
    this.use(erases ? "hide" : "light");
    this.draw();
  }

  get hidden() {
    return this.mask.reduce((n, seen) => n + (seen ? 0 : 1), 0);
  }

  // What it begins with

  choice() {
    const { id, run } = this, parts = [];
    if (run.test) {
      const last = (this.source.served ? run.test.of : run.test.n) - 1;
      this.number = el("input", { type: "number", id: `${id}-row`, min: 0, max: last, value: 0, onchange: () => this.take(Number(this.number.value)) });
      parts.push(el("label", { for: `${id}-row` }, `Test picture (0 to ${last.toLocaleString("en")})`), this.number);
    }
    if (run.uploads) {
      const file = el("input", { type: "file", id: `${id}-file`, accept: "image/png,image/jpeg,image/webp,image/gif,image/bmp", onchange: () => this.upload(file.files[0]) });
      parts.push(el("label", { for: `${id}-file` }, "or a file"), file);
    }
    parts.push(button("Blank", () => this.begin(this.x.map(() => run.span[0]))), button("Invert", () => this.begin(this.x.map((v) => run.span[0] + run.span[1] - v), this.mask.slice())));
    return [el("div", { class: "row" }, ...parts)];
  }

  async take(row) {
    return this.fetched(() => this.source.test(row), (x) => this.begin(x, this.mask.slice()));
  }

  async upload(file) {
    if (file) await this.fetched(() => read_picture(file, this.run), (x) => this.begin(x));
  }

  /** Begin with a picture when it comes, unless the person has gone on meanwhile. Whether it did. */
  async fetched(ask, begin) {
    const newest = this.pictures();
    try {
      const x = await ask(), wanted = newest();
      if (wanted) begin(x);
      return wanted;
    } catch (error) {
      if (newest()) this.say(error.message);
      return false;
    }
  }

  begin(x, mask = this.mask.map(() => 1)) {
    this.remember();
    Object.assign(this, { x, mask });
    this.done();
  }

  // Tools

  tools() {
    const names = this.erases ? Object.keys(TOOLS) : ["light", "dark"];
    this.buttons = Object.fromEntries(names.map((name) => [name, button(TOOLS[name], () => this.use(name), { "aria-pressed": "false" })]));
    const size = el("input", { type: "range", id: `${this.id}-size`, min: 0.5, max: this.width / 4, step: 0.5, value: this.radius, oninput: () => (this.radius = Number(size.value)) });
    const more = [button("Undo", () => this.undo())];
    if (this.erases) more.push(button("Erase the lower half", () => this.halve()), button("Restore all", () => this.begin(this.x)));
    return el("div", { class: "row" }, ...Object.values(this.buttons), ...more, el("label", { for: `${this.id}-size` }, "Brush"), size);
  }

  use(name) {
    this.tool = name;
    for (const [other, press] of Object.entries(this.buttons)) press.setAttribute("aria-pressed", String(other === name));
  }

  halve() {
    this.begin(this.x, this.mask.map((_, i) => (i < Math.floor(this.height / 2) * this.width ? 1 : 0)));
  }

  remember() {
    this.pictures();
    this.past = [...this.past.slice(1 - PAST), { x: this.x.slice(), mask: this.mask.slice() }];
  }

  undo() {
    this.pictures();
    Object.assign(this, this.past.pop());
    this.done();
  }

  done() {
    this.draw();
    this.changed();
  }

  say(text) {
    this.said.textContent = text;
  }

  // The canvas

  make_canvas() {
    const zoom = Math.max(1, Math.floor(SIDE / Math.max(this.width, this.height)));
    const help = el("p", { class: "small", id: `${this.id}-help` }, "Mouse or finger paints. By keyboard: arrow keys move, Space paints, Enter puts the brush down or lifts it.");
    this.canvas = el("canvas", { class: "picture brush", width: this.width * zoom, height: this.height * zoom, tabindex: 0, role: "application", "aria-label": this.title, "aria-describedby": `${this.id}-help` });
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.along(event));
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => this.lift());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["focus", "blur"]) this.canvas.addEventListener(name, () => this.draw());
    return el("div", {}, help, this.canvas);
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.width - 0.5, ((event.clientY - box.top) / box.height) * this.height - 0.5];
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.remember();
    this.pressed = true;
    this.last = this.at(event);
    this.paint(...this.last);
    this.draw();
  }

  /** Also between two places of a fast pointer. */
  along(event) {
    if (!this.pressed) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const [x, y] = this.at(one), [a, b] = this.last, steps = Math.ceil(Math.hypot(x - a, y - b)) || 1;
      for (let i = 1; i <= steps; i++) this.paint(a + ((x - a) * i) / steps, b + ((y - b) * i) / steps);
      this.last = [x, y];
    }
    this.draw();
  }

  lift() {
    if (!this.pressed) return;
    this.pressed = false;
    this.done();
  }

  key(event) {
    const move = MOVES[event.key];
    if (!(move || event.key === " " || event.key === "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (move) this.cursor = [this.width, this.height].map((n, j) => Math.max(0, Math.min(n - 1, this.cursor[j] + move[j])));
    if (event.key === "Enter") this.brushed = !this.brushed;
    if (event.key === " " || this.brushed) {
      this.remember();
      this.paint(...this.cursor);
      this.changed();
    }
    this.draw();
    const state = this.erases ? `${this.hidden} of ${this.mask.length} pixels erased` : `brush ${TOOLS[this.tool].toLowerCase()}`;
    this.say(`Column ${this.cursor[0] + 1}, row ${this.cursor[1] + 1}; brush ${this.brushed ? "down" : "up"}; ${state}.`);
  }

  /** The tool on all pixels within the brush around a place. */
  paint(x, y) {
    const { width, height, tool, radius, run: { span: [low, high] } } = this, area = width * height;
    for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(height - 1, y + radius); row++) {
      for (let column = Math.max(0, Math.floor(x - radius)); column <= Math.min(width - 1, x + radius); column++) {
        if (Math.hypot(column - x, row - y) > Math.max(radius, 0.71)) continue;
        const i = row * width + column;
        this.mask[i] = tool === "hide" ? 0 : 1;
        if (tool === "light" || tool === "dark") for (let at = i; at < this.x.length; at += area) this.x[at] = tool === "light" ? high : low;
      }
    }
  }

  /** The picture; a hidden pixel is grey with a stroke through it, so that it is told by more than its shade. */
  draw() {
    const { canvas, width, height, x, mask, run: { shape: [channels], span: [low, high] } } = this;
    const g = canvas.getContext("2d"), zoom = canvas.width / width, area = width * height;
    for (let i = 0; i < area; i++) {
      const shade = [0, 1, 2].map((c) => Math.round((255 * (x[(channels === 1 ? 0 : c) * area + i] - low)) / (high - low)));
      g.fillStyle = mask[i] ? `rgb(${shade.join()})` : "#777";
      g.fillRect((i % width) * zoom, Math.floor(i / width) * zoom, zoom, zoom);
    }
    g.strokeStyle = "#f2a367";
    g.lineWidth = 1;
    g.beginPath();
    for (let i = 0; i < area; i++) {
      if (mask[i]) continue;
      const left = (i % width) * zoom, top = Math.floor(i / width) * zoom;
      g.moveTo(left, top + zoom);
      g.lineTo(left + zoom, top);
    }
    g.stroke();
    if (document.activeElement === canvas) this.draw_cursor(g, zoom);
  }

  draw_cursor(g, zoom) {
    const [x, y] = this.cursor, r = Math.max(this.radius, 0.5);
    for (const [style, line] of [["#000", 4], ["#fff", 2]]) {
      g.strokeStyle = style;
      g.lineWidth = line;
      g.strokeRect((x + 0.5 - r) * zoom, (y + 0.5 - r) * zoom, 2 * r * zoom, 2 * r * zoom);
    }
  }
}
