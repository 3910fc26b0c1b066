/** Curves as SVG, each with the same numbers as a table behind it. */

import { by_id, el, svg, table } from "./dom.mjs";

const WIDTH = 420, HEIGHT = 150, LEFT = 42, RIGHT = 8, TOP = 8, BOTTOM = 20, ROWS = 12;

/** A chart that is made once and redrawn: `draw(series, marks)`. */
export class Chart {
  /** @param keys [{title, kind}], kind is a class of the style sheet: data, sample, best. */
  constructor(id, title, note, keys, { low = null, high = null } = {}) {
    Object.assign(this, { id, title, keys, low, high });
    this.drawing = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
    this.numbers = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${title}: numbers` });
    this.details = el("details", { ontoggle: () => this.fill_table() }, el("summary", { class: "small" }, "Numbers"), this.numbers);
    const legend = el("div", {}, ...keys.map((key) => el("span", { class: "key" }, line_of(key.kind), key.title)));
    this.figure = el("figure", {}, el("figcaption", {}, title, el("span", { class: "small" }, ` ${note}`)), legend, this.drawing, this.details);
  }

  /** @param rows [t, value, ...] with null for what was not measured. @param marks [[value, text]]. */
  draw(rows, marks = []) {
    this.rows = rows;
    const scale = this.scale(rows, marks);
    const lines = marks.map((mark) => drawn_mark(scale, mark)), labels = lines.map((parts) => parts.pop());
    const paths = this.keys.map((key, i) => svg("path", { class: key.kind, d: path(rows, i + 1, scale) }));
    this.drawing.replaceChildren(...lines.flat(), ...paths, ...drawn_axes(scale), ...labels);
    this.drawing.setAttribute("aria-label", this.spoken());
    this.fill_table();
  }

  scale(rows, marks) {
    const values = [...rows.flatMap((row) => row.slice(1)), ...marks.map(([value]) => value)].filter(Number.isFinite);
    let low = this.low ?? 0, high = this.high ?? 1;
    if (values.length) [low, high] = padded(values).map((end, i) => [this.low, this.high][i] ?? end);
    const last = rows.at(-1)?.[0] || 1;
    return {
      low, high, last,
      x: (t) => LEFT + (t / last) * (WIDTH - LEFT - RIGHT),
      y: (v) => TOP + ((high - Math.min(Math.max(v, low), high)) / (high - low)) * (HEIGHT - TOP - BOTTOM),
    };
  }

  spoken() {
    const last = this.rows.at(-1);
    if (!last) return `${this.title}: nothing yet.`;
    return `${this.title} at step ${last[0]}: ${this.keys.map((key, i) => `${key.title} ${shown(last[i + 1])}`).join(", ")}.`;
  }

  fill_table() {
    if (!this.details.open || !this.rows) return;
    const step = Math.max(1, Math.floor(this.rows.length / ROWS));
    const rows = this.rows.filter((_, i) => (this.rows.length - 1 - i) % step === 0);
    const cells = rows.map(([t, ...values]) => [String(t), ...values.map(shown)]);
    this.numbers.replaceChildren(table(this.title, ["step", ...this.keys.map((key) => key.title)], cells));
  }
}

export function shown(value) {
  return value === null || value === undefined || Number.isNaN(value) ? "-" : value.toFixed(Math.abs(value) < 10 ? 3 : 1);
}

function padded(values) {
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  const room = Math.max((high - low) * 0.06, 0.01);
  return [low - room, high + room];
}

function path(rows, column, { x, y }) {
  const points = rows.filter((row) => Number.isFinite(row[column]));
  return points.map((row, i) => `${i ? "L" : "M"}${x(row[0]).toFixed(1)} ${y(row[column]).toFixed(1)}`).join("") || "M0 0";
}

function drawn_mark(scale, [value, text]) {
  const y = scale.y(value);
  const label = svg("text", { x: WIDTH - RIGHT, y: y - 3, "text-anchor": "end" });
  label.textContent = text;
  return [svg("line", { class: "mark", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }), label];
}

function drawn_axes({ low, high, last }) {
  const words = [[LEFT - 4, TOP + 8, shown(high), "end"], [LEFT - 4, HEIGHT - BOTTOM, shown(low), "end"],
    [LEFT, HEIGHT - 5, "0", "start"], [WIDTH - RIGHT, HEIGHT - 5, `step ${last}`, "end"]];
  const texts = words.map(([x, y, text, anchor]) => {
    const made = svg("text", { x, y, "text-anchor": anchor });
    made.textContent = text;
    return made;
  });
  return [svg("path", { class: "axis", d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}` }), ...texts];
}

function line_of(kind) {
  return svg("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, svg("path", { class: kind, d: "M0 4H26" }));
}

/** The curves of the game, in their section. */
export function make_charts() {
  const charts = {
    V: new Chart("V", "V(D, G)", "in nats; -log 4 where D cannot tell", [{ title: "V", kind: "data" }]),
    jsd: new Chart("jsd", "JSD(p_data, p_g)", "in nats; the dashed line is a perfect sampler's", [{ title: "JSD", kind: "best" }]),
    D: new Chart("D", "D(x) and D(G(z))", "means over a minibatch", [{ title: "D(x)", kind: "data" }, { title: "D(G(z))", kind: "sample" }], { low: 0, high: 1 }),
    modes: new Chart("modes", "Modes covered", "of those that the data has", [{ title: "modes", kind: "best" }], { low: 0 }),
  };
  by_id("curves").replaceChildren(el("h2", {}, "Curves"), ...Object.values(charts).map((chart) => chart.figure));
  return charts;
}

export function draw_charts(charts, { game, measured }, frame, modes) {
  charts.V.draw(game.map((row) => [row[0], row[1]]), [[-Math.log(4), "-log 4"]]);
  charts.D.draw(game.map((row) => [row[0], row[3], row[4]]), [[0.5, "1/2"]]);
  charts.jsd.draw(measured.map((row) => [row[0], row[1]]), [[frame.exact ? 0 : frame.floor, frame.exact ? "0, exact" : "floor"]]);
  charts.modes.figure.hidden = !modes;
  if (modes) charts.modes.draw(measured.map((row) => [row[0], row[2]]), [[modes.of, `all ${modes.of}`]]);
}
