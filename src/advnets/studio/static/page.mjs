/** The game's page: settings to the worker, what it sends to the canvas, the curves and the words. */

import { draw_charts, make_charts, shown } from "./charts.mjs";
import { button, by_id, el, field } from "./dom.mjs";
import { draw } from "./draw.mjs";
import { make_lessons } from "./lessons.mjs";
import { OPTIONS, VIEW, allowed, defaults, from_fragment, to_fragment } from "./options.mjs";
import { make_pad } from "./pad.mjs";
import { LINES } from "./session.mjs";
import { EXPLAINED, ON_THE_LINE } from "./texts.mjs";
import { make_transport } from "./transport.mjs";

const SAID_EVERY = 1000;
/** Options that only apply to a few choices, with what makes them apply. */
const OF_GAME = ["Game", "Learning", "Networks"];

export class Page {
  /** @param make_worker Gives a started worker. */
  constructor(make_worker) {
    this.canvas = by_id("canvas");
    this.state = from_fragment(location.hash);
    this.frame = this.seen = this.newest = this.minibatch = null;
    this.said = 0;
    this.worker = make_worker();
    this.worker.onmessage = ({ data }) => RECEIVED[data.kind]?.(this, data);
    this.worker.onerror = (event) => this.problem(`The game stopped: ${event.message}`);
    this.charts = make_charts();
    this.transport = make_transport(this);
    this.pad = make_pad(this.canvas, (points) => this.drawn(points));
    this.pad.moved = () => this.redraw();
    make_lessons(this);
    this.controls();
    addEventListener("hashchange", () => this.arrived());
    new ResizeObserver(() => this.redraw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    this.begin(this.state.moves);
  }

  send(message) {
    this.worker.postMessage(message);
  }

  /** A new game by the settings; `moves` are made at once. */
  begin(moves = "") {
    const { options, view, points } = this.state;
    this.minibatch = null;
    this.problem("");
    this.line_shown(null);
    if (this.pad && points?.dim === 2) this.pad.values = points.values.slice();
    this.send({ do: "view", view });
    this.send({ do: "new", options, points, moves });
    this.explain();
  }

  // Settings

  controls() {
    const groups = OF_GAME.map((title) => {
      const own = Object.entries(OPTIONS).filter(([, spec]) => spec.group === title);
      return el("fieldset", {}, el("legend", {}, title), ...own.map(([name, spec]) =>
        field(name, spec, this.state.options[name], (value) => this.set_option(name, value))));
    });
    const view = el("fieldset", {}, el("legend", {}, "View"), ...Object.entries(VIEW).map(([name, spec]) =>
      field(name, spec, this.state.view[name], (value) => this.set_view(name, value))));
    const other = button("Another seed", () => this.set_option("seed", (this.state.options.seed + 1) % 1000000));
    const link = button("Copy link", () => this.copy_link());
    const reset = button("All defaults", () => this.reset());
    by_id("controls").replaceChildren(el("h2", {}, "Settings"), view, ...groups, el("div", { class: "row" }, other, link, reset));
  }

  set_option(name, value) {
    this.state.options[name] = allowed(OPTIONS[name], value);
    if (name === "data") this.fit_to_data();
    this.controls_changed(`field-${name}`);
    this.begin();
  }

  /** Figure 1 has one z. */
  fit_to_data() {
    const line = ["bimodal", "single", "uneven", "sharp"].includes(this.state.options.data);
    this.state.options.z = line ? 1 : Math.max(2, this.state.options.z);
    if (line) this.state.view.lines = true;
    if (this.state.options.data === "drawn") this.pad.turn(true);
  }

  set_view(name, value) {
    this.state.view[name] = allowed(VIEW[name], value);
    this.send({ do: "view", view: this.state.view });
    this.explain();
    this.write_fragment();
  }

  /** Settings of a lesson, on top of the defaults. */
  choose({ options = {}, view = {}, moves = "" }) {
    this.state.options = { ...defaults(OPTIONS), ...options };
    this.state.view = { ...defaults(VIEW), ...view };
    this.controls_changed();
    this.begin(moves);
  }

  reset() {
    this.state.points = null;
    this.pad.values = [];
    this.choose({});
  }

  controls_changed(focus = document.activeElement?.id) {
    this.controls();
    if (focus) by_id(focus)?.focus();
  }

  drawn(points) {
    this.state.points = points.values.length ? points : null;
    this.state.options.data = "drawn";
    this.state.options.z = points.dim === 1 ? 1 : Math.max(2, this.state.options.z);
    this.controls_changed();
    this.begin();
  }

  // The URL

  write_fragment() {
    const moves = this.seen?.moves ?? "";
    const text = to_fragment({ ...this.state, moves });
    this.written = `#${text}`;
    if (location.hash !== this.written) history.replaceState(null, "", this.written);
  }

  arrived() {
    if (location.hash === this.written) return;
    this.state = from_fragment(location.hash);
    this.controls();
    this.begin(this.state.moves);
  }

  async copy_link() {
    this.write_fragment();
    try {
      await navigator.clipboard.writeText(location.href);
      this.summary("The link is copied: it holds every setting, the seed and the step.", true);
    } catch {
      this.summary("The link is in the address bar.", true);
    }
  }

  // What is shown

  explain() {
    const [equation, words] = EXPLAINED[this.state.view.field];
    const parts = [el("p", {}, words)];
    if (this.frame?.dim === 1) parts.push(el("p", { class: "small" }, ON_THE_LINE));
    if (equation) parts.unshift(el("p", { class: "equation" }, equation));
    by_id("explained").replaceChildren(...parts);
  }

  redraw() {
    if (!this.frame || !this.seen) return;
    draw(this.canvas, this.frame, this.seen, this.state.view, this.minibatch);
    if (this.pad.on) this.pad_cursor();
  }

  /** The cursor of the keyboard, and points of a stroke that is not yet a game. */
  pad_cursor() {
    const g = this.canvas.getContext("2d"), side = this.canvas.width, ink = getComputedStyle(this.canvas).color;
    const at = (x, y) => [((x + 1.6) / 3.2) * side, ((1.6 - y) / 3.2) * side], r = side / 60;
    const [x, y] = at(...this.pad.cursor);
    g.strokeStyle = g.fillStyle = ink;
    g.lineWidth = side / 250;
    g.strokeRect(x - r, y - r, 2 * r, 2 * r);
    for (const row of this.pad.rows()) g.fillRect(...at(...row).map((v) => v - r / 4), r / 2, r / 2);
  }

  /** What the worker sent, drawn with the screen's next frame: the newest of what came since. */
  received(message) {
    if (this.newest) message.seen.curves ??= this.newest.seen.curves;
    else requestAnimationFrame(() => this.show(this.newest));
    this.newest = message;
  }

  show(message) {
    if (!message) return; // a new game has started before the next animation frame
    const { seen, playing, rate } = message;
    this.newest = null;
    const curves = seen.curves ?? this.seen?.curves;
    this.seen = { ...seen, curves };
    this.redraw();
    if (seen.curves && this.frame) draw_charts(this.charts, seen.curves, this.frame, seen.modes);
    this.transport.update(seen, playing);
    this.summary(this.words(seen, playing, rate), !playing);
    this.warn(seen.warnings);
    if (!seen.finite) this.problem("The weights left the finite numbers: a lower learning rate is the usual cure. Step back, or start over.");
    if (!playing) this.write_fragment();
    window.__state = { t: seen.t, fingerprint: seen.fingerprint, moves: seen.moves, playing, rate, jsd: seen.jsd };
    this.send({ do: "ready" });
  }

  words(seen, playing, rate) {
    const parts = [`Step ${seen.t}.`];
    if (seen.modes) parts.push(`${seen.modes.covered} of ${seen.modes.of} modes.`);
    if (seen.metrics?.V !== undefined) {
      const { V, D_x, D_Gz } = seen.metrics;
      parts.push(`V ${shown(V)} (-log 4 is -1.386), D(x) ${shown(D_x)}, D(G(z)) ${shown(D_Gz)}.`);
    }
    const floor = this.frame.exact ? "exact" : `a perfect sampler's is ${shown(this.frame.floor)}`;
    parts.push(`JSD ${shown(seen.jsd)} nats (${floor}), V(G, D*) ${shown(seen.V_best)}.`);
    if (seen.arrows) parts.push(`Largest push of G's gradient: ${seen.arrows.push.reduce((a, v) => Math.max(a, Math.abs(v)), 0).toPrecision(2)}.`);
    if (playing && rate) parts.push(`${rate} steps a second.`);
    return parts.join(" ");
  }

  /** The words beside the picture, no more than once a second unless they matter now. */
  summary(text, now) {
    const time = performance.now();
    if (!now && time - this.said < SAID_EVERY) return;
    this.said = time;
    by_id("summary").textContent = text;
    this.canvas.setAttribute("aria-label", `The game. ${text}`);
  }

  warn(warnings) {
    const place = by_id("warnings"), text = warnings.map(([name]) => name).join();
    if (place.dataset.shown === text) return;
    place.dataset.shown = text;
    place.replaceChildren(...warnings.map(([name, sentence]) => el("p", { class: "warning" }, el("strong", {}, `Monitor: ${name}. `), sentence)));
  }

  problem(text) {
    const place = by_id("problem");
    place.hidden = !text;
    place.textContent = text;
  }

  /** The lines of Algorithm 1, the one that just happened marked; none while it is not slow. */
  line_shown(kind) {
    const list = by_id("algorithm"), { order } = this.state.options;
    list.hidden = !kind;
    if (!kind) return;
    const lines = order === "alternating" ? ["zD", "x", "D", "zG", "G"] : ["zD", "x", "both"];
    list.replaceChildren(...lines.map((name) =>
      el("li", { "aria-current": name === kind ? "step" : null }, LINES[name])));
  }
}

const RECEIVED = {
  /** A new game: forget the previous one, whose grid may differ. */
  frame(page, { frame }) {
    page.frame = frame;
    page.seen = page.newest = page.minibatch = null;
    page.explain();
  },
  seen(page, message) {
    page.received(message);
  },
  line(page, { line }) {
    page.minibatch = line;
    page.line_shown(line.kind);
    page.summary(line.text, true);
  },
  problem(page, { text }) {
    page.problem(text);
  },
};
