/** Data drawn by hand: by mouse or touch on the canvas, by keyboard with a cursor, or pasted. */

import { kept_evenly, parsed_csv } from "./data.mjs";
import { button, by_id, el } from "./dom.mjs";

const STEP = 0.1, HALF = 1.6, APART = 0.06, MOST_TEXT = 20_000_000;

export class Pad {
  /** @param canvas Where is drawn. @param changed Gets the points when a stroke or paste ends. */
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, on: false, erasing: false, values: [], past: [], cursor: [0, 0] });
    this.said = el("p", { class: "small", "aria-live": "polite" });
    this.place = el("fieldset", {}, el("legend", {}, "Draw your own data"), ...this.parts(), this.said);
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.along(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.up());
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  parts() {
    this.toggle = button("Draw on the picture", () => this.turn(!this.on), { "aria-pressed": "false" });
    this.eraser = button("Eraser", () => this.erase(!this.erasing), { "aria-pressed": "false" });
    this.text = el("textarea", { id: "csv", placeholder: "0.1, 0.2\n0.3, -0.5" });
    const file = el("input", { type: "file", id: "csv-file", accept: ".csv,.txt,text/plain", onchange: (event) => this.read(event.target.files[0]) });
    return [
      el("p", { class: "small" }, "Drag with mouse or finger, or focus the picture: arrow keys move the cursor, Space sets a point, Backspace takes it away."),
      el("div", { class: "row" }, this.toggle, this.eraser, button("Undo", () => this.undo()), button("Clear", () => this.clear())),
      el("details", {}, el("summary", {}, "Paste numbers (CSV)"),
        el("label", { for: "csv" }, "One or two numbers a row"), this.text,
        el("div", { class: "row" }, button("Use these numbers", () => this.paste(this.text.value)), el("label", { for: "csv-file" }, "or a file"), file)),
    ];
  }

  turn(on) {
    this.on = on;
    this.toggle.setAttribute("aria-pressed", String(on));
    this.canvas.classList.toggle("drawing", on);
    this.canvas.tabIndex = on ? 0 : -1;
    if (on) this.canvas.focus();
    this.say(on ? "Drawing is on." : "Drawing is off.");
  }

  erase(on) {
    this.erasing = on;
    this.eraser.setAttribute("aria-pressed", String(on));
  }

  say(text) {
    this.said.textContent = text;
  }

  /** Where a pointer stands, in the units of x. */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width * 2 - 1) * HALF, (1 - 2 * (event.clientY - box.top) / box.height) * HALF];
  }

  down(event) {
    if (!this.on) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.remember();
    this.stroke = true;
    this.put(...this.at(event));
  }

  along(event) {
    if (!this.stroke) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.put(...this.at(one));
  }

  up() {
    if (!this.stroke) return;
    this.stroke = false;
    this.done();
  }

  key(event) {
    const steps = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    if (!this.on || !(event.key in steps || event.key === " " || event.key === "Backspace")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key in steps) {
      this.cursor = this.cursor.map((v, j) => Math.max(-HALF, Math.min(HALF, v + steps[event.key][j])));
      this.moved?.();
    } else {
      this.remember();
      if (event.key === " ") this.put(...this.cursor);
      else this.take(...this.cursor);
      this.done();
    }
    this.say(`Cursor at ${this.cursor.map((v) => v.toFixed(1)).join(", ")}; ${this.values.length / 2} points.`);
  }

  put(x, y) {
    if (this.erasing) {
      this.take(x, y);
      return;
    }
    const [a, b] = this.values.slice(-2);
    if (this.stroke && a !== undefined && Math.hypot(a - x, b - y) < APART) return;
    this.values.push(Number(x.toFixed(2)), Number(y.toFixed(2)));
    this.moved?.();
  }

  take(x, y) {
    const rows = this.rows().filter(([a, b]) => Math.hypot(a - x, b - y) > 1.5 * STEP);
    this.values = rows.flat();
    this.moved?.();
  }

  rows() {
    return Array.from({ length: this.values.length / 2 }, (_, i) => this.values.slice(2 * i, 2 * i + 2));
  }

  remember() {
    this.past = [...this.past.slice(-30), this.values.slice()];
  }

  undo() {
    this.values = this.past.pop() ?? [];
    this.done();
  }

  clear() {
    this.remember();
    this.values = [];
    this.done();
  }

  done() {
    this.values = kept_evenly(this.rows()).flat();
    this.say(`${this.values.length / 2} points.`);
    this.changed({ dim: 2, values: this.values.slice() });
  }

  paste(text) {
    try {
      if (text.length > MOST_TEXT) throw new Error("The text must have at most 20 million letters.");
      const { points, said } = parsed_csv(text);
      if (points.dim === 2) this.values = points.values.slice();
      this.changed(points);
      this.say(said);
    } catch (error) {
      this.say(error.message);
    }
  }

  async read(file) {
    if (!file) return;
    if (file.size > MOST_TEXT) this.say("The file must have at most 20 MB; take some of its rows.");
    else this.paste(await file.text());
  }
}

export function make_pad(canvas, changed) {
  const pad = new Pad(canvas, changed);
  by_id("pad-place").append(pad.place);
  return pad;
}
