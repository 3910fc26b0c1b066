/** The game on a canvas: in the plane a field with points on it, on the line Figure 1. */

import { Pixels, stamp_of } from "./pixels.mjs";

const COLOURS = {
  light: { paper: [253, 253, 251], ink: "#1b1c1e", soft: "#54575c", data: "#1f5fa8", sample: "#a8480a", best: "#4b3a8f", line: "#c9cbd0", low: [179, 88, 6], mid: [247, 247, 247], high: [33, 102, 172] },
  dark: { paper: [23, 24, 27], ink: "#ececea", soft: "#b3b6bc", data: "#7fb4f0", sample: "#f2a367", best: "#b9a8ff", line: "#4a4d54", low: [190, 105, 30], mid: [30, 31, 35], high: [60, 120, 190] },
};

function palette() {
  return COLOURS[matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"];
}

/** Fit the canvas to its place at the screen's own resolution; its side in pixels. */
function sized(canvas) {
  const side = Math.max(60, Math.round(canvas.clientWidth * Math.min(devicePixelRatio || 1, 2)));
  if (canvas.width !== side || canvas.height !== side) [canvas.width, canvas.height] = [side, side];
  return side;
}

export function draw(canvas, frame, seen, view, minibatch) {
  const side = sized(canvas), g = canvas.getContext("2d", { alpha: false }), colours = palette();
  g.setTransform(1, 0, 0, 1, 0, 0);
  const pen = { g, side, colours, unit: side / 500, frame, seen, view, minibatch };
  if (frame.dim === 2) draw_plane(pen);
  else draw_line(pen);
}

// The plane

let pixels = null;

function draw_plane(pen) {
  const { g, side, frame, seen, view, colours, minibatch } = pen;
  if (pixels?.side !== side) pixels = new Pixels(side);
  pixels.fill(colours.paper);
  draw_field(pixels, pen, field_of(frame, seen, view.field));
  if (view.examples) draw_points(pixels, pen, frame.examples, colours.data, circle);
  if (view.samples) draw_points(pixels, pen, seen.samples, colours.sample, cross);
  if (minibatch?.x) draw_points(pixels, pen, minibatch.x, colours.ink, circle, 2);
  g.putImageData(pixels.image, 0, 0);
  if (view.lines && seen.lines) draw_warp(pen);
  if (view.arrows && seen.arrows) draw_arrows(pen);
}

/** Values in [-1, 1] of each cell: negative is the samples' colour, positive the data's. */
export function field_of(frame, seen, name) {
  if (name === "none") return null;
  if (name === "D") return seen.D.map((v) => 2 * v - 1);
  if (name === "p" || name === "q") return density(name === "p" ? frame.p : seen.q, name === "p" ? 1 : -1);
  return seen.D.map((v, i) => {
    const sum = frame.p[i] + seen.q[i];
    if (sum < 1e-6) return NaN; // D is free there
    const best = frame.p[i] / sum;
    return name === "best" ? 2 * best - 1 : v - best;
  });
}

function density(table, sign) {
  const most = table.reduce((a, b) => Math.max(a, b), 1e-12);
  return table.map((v) => sign * Math.sqrt(v / most));
}

function draw_field(pixels, { colours, frame }, field) {
  if (!field) return;
  pixels.cells(frame.n, (i) => {
    const v = field[i], end = v > 0 ? colours.high : colours.low, strength = Math.min(Math.abs(v), 1) * 0.75;
    return Number.isNaN(v) ? null : colours.mid.map((c, k) => Math.round(c + (end[k] - c) * strength));
  });
}

function place({ side, frame }, x, y) {
  return [((x + frame.half) / (2 * frame.half)) * side, ((frame.half - y) / (2 * frame.half)) * side];
}

function draw_points(pixels, pen, x, colour, symbol, size = 1) {
  const stamp = stamp_for(symbol, colour, pen.unit, size);
  for (let i = 0; i < x.length; i += 2) pixels.stamp(stamp, ...place(pen, x[i], x[i + 1]));
}

const stamps = new Map();

function stamp_for(symbol, colour, unit, size) {
  const key = [symbol.name, colour, unit, size].join();
  if (!stamps.has(key)) {
    if (stamps.size > 20) stamps.clear();
    stamps.set(key, stamp_of(Math.ceil(2.6 * unit * size + unit), (g, middle) => {
      g.strokeStyle = colour;
      g.lineWidth = 1.2 * unit;
      g.beginPath();
      symbol(g, middle, middle, 2.6 * unit * size);
      g.stroke();
    }));
  }
  return stamps.get(key);
}

function circle(g, x, y, r) {
  g.arc(x, y, r, 0, 2 * Math.PI);
}

function cross(g, x, y, r) {
  g.moveTo(x - r, y - r);
  g.lineTo(x + r, y + r);
  g.moveTo(x - r, y + r);
  g.lineTo(x + r, y - r);
}

/** Arrows of one length for the largest push; a push a thousand times smaller is a dot. */
function draw_arrows(pen) {
  const { g, unit, colours, seen } = pen, { x, push } = seen.arrows;
  let most = 1e-12;
  for (let i = 0; i < push.length; i += 2) most = Math.max(most, Math.hypot(push[i], push[i + 1]));
  g.strokeStyle = colours.ink;
  g.lineWidth = 1.5 * unit;
  g.beginPath();
  for (let i = 0; i < x.length; i += 2) {
    const size = Math.hypot(push[i], push[i + 1]) || 1, length = 34 * unit * Math.sqrt(size / most);
    arrow(g, ...place(pen, x[i], x[i + 1]), (push[i] / size) * length, (-push[i + 1] / size) * length);
  }
  g.stroke();
}

function arrow(g, x, y, dx, dy) {
  g.moveTo(x, y);
  g.lineTo(x + dx, y + dy);
  for (const turn of [2.6, -2.6]) {
    const c = Math.cos(turn) * 0.35, s = Math.sin(turn) * 0.35;
    g.moveTo(x + dx, y + dy);
    g.lineTo(x + dx + c * dx - s * dy, y + dy + s * dx + c * dy);
  }
}

/** A grid of z, bent by G: where lines crowd, p_g is dense. */
function draw_warp(pen) {
  const { g, unit, colours, seen } = pen, { side: n, x } = seen.lines;
  g.strokeStyle = colours.soft;
  g.lineWidth = 0.9 * unit;
  g.beginPath();
  for (let i = 0; i < n; i++) {
    for (const [step, from] of [[1, i * n], [n, i]]) {
      for (let j = 0; j < n; j++) {
        const at = 2 * (from + j * step), [px, py] = place(pen, x[at], x[at + 1]);
        if (j) g.lineTo(px, py);
        else g.moveTo(px, py);
      }
    }
  }
  g.stroke();
}

// The line: Figure 1

const BASE = 0.66, X_LINE = 0.74, Z_LINE = 0.95, ROOF = 0.05;

function draw_line(pen) {
  const { g, side, frame, seen, view, colours, minibatch } = pen;
  g.fillStyle = `rgb(${colours.paper})`;
  g.fillRect(0, 0, side, side);
  const most = Math.max(...frame.p, ...seen.q) * 1.05;
  const height = (v) => (v / most) * (BASE - ROOF);
  draw_axes(pen);
  if (view.field === "error") {
    const error = field_of(frame, seen, "error");
    curve(pen, error, (v) => (v / 2 + 0.5) * (BASE - ROOF), colours.ink, []);
  } else {
    curve(pen, frame.p, height, colours.data, [2, 3]);
    curve(pen, seen.q, height, colours.sample, []);
    if (view.field !== "p" && view.field !== "q") best_and_D(pen);
  }
  if (view.examples) ticks(pen, frame.examples, BASE, -0.02, colours.data);
  if (view.samples) ticks(pen, seen.samples, BASE, 0.02, colours.sample);
  if (minibatch?.x) ticks(pen, minibatch.x, BASE, -0.05, colours.ink);
  if (view.lines && seen.lines) z_to_x(pen);
  if (view.arrows && seen.arrows) pushes(pen);
}

function best_and_D(pen) {
  const { frame, seen, view, colours } = pen;
  if (view.field === "best" || view.field === "D") {
    const best = field_of(frame, seen, "best").map((v) => (v + 1) / 2);
    curve(pen, best, (v) => v * (BASE - ROOF), colours.best, [1, 4]);
  }
  if (view.field !== "none") curve(pen, seen.D, (v) => v * (BASE - ROOF), colours.ink, [8, 5]);
}

function curve({ g, side, unit, frame, colours }, values, height, colour, dash) {
  g.strokeStyle = colour;
  g.lineWidth = 2 * unit;
  g.setLineDash(dash.map((v) => v * unit));
  g.beginPath();
  let down = false;
  for (let i = 0; i < frame.n; i++) {
    const v = height(values[i]);
    if (Number.isNaN(v)) {
      down = false;
      continue;
    }
    const at = [((i + 0.5) / frame.n) * side, (BASE - v) * side];
    if (down) g.lineTo(...at);
    else g.moveTo(...at);
    down = true;
  }
  g.stroke();
  g.setLineDash([]);
}

function draw_axes({ g, side, unit, colours, view }) {
  g.strokeStyle = colours.line;
  g.lineWidth = unit;
  g.beginPath();
  for (const y of [BASE, X_LINE, Z_LINE, (BASE + ROOF) / 2]) {
    g.moveTo(0, y * side);
    g.lineTo(side, y * side);
  }
  g.stroke();
  g.fillStyle = colours.soft;
  g.font = `${Math.round(13 * unit)}px system-ui, sans-serif`;
  const middle = view.field === "error" ? "D - D* = 0" : "D = 1/2";
  for (const [text, y] of [["x", X_LINE], ["z", Z_LINE], [middle, (BASE + ROOF) / 2]]) {
    g.fillText(text, 4 * unit, y * side - 4 * unit);
  }
}

function on_line({ side, frame }, x) {
  return ((x + frame.half) / (2 * frame.half)) * side;
}

function ticks(pen, x, base, length, colour) {
  const { g, side, unit } = pen;
  g.strokeStyle = colour;
  g.lineWidth = 0.8 * unit;
  g.globalAlpha = 0.5;
  g.beginPath();
  for (const v of x) {
    g.moveTo(on_line(pen, v), base * side);
    g.lineTo(on_line(pen, v), (base + length) * side);
  }
  g.stroke();
  g.globalAlpha = 1;
}

/** Even steps of z below, and where G puts them above: the lines of Figure 1. */
function z_to_x(pen) {
  const { g, side, unit, colours, seen } = pen, { z, x } = seen.lines;
  const most = Math.max(...z.map(Math.abs));
  g.strokeStyle = colours.soft;
  g.lineWidth = unit;
  g.beginPath();
  for (let i = 0; i < z.length; i++) {
    g.moveTo((0.5 + (0.45 * z[i]) / most) * side, Z_LINE * side);
    g.lineTo(on_line(pen, x[i]), X_LINE * side);
  }
  g.stroke();
}

function pushes(pen) {
  const { g, side, unit, colours, seen } = pen, { x, push } = seen.arrows;
  const most = push.reduce((a, v) => Math.max(a, Math.abs(v)), 1e-12);
  g.strokeStyle = colours.sample;
  g.lineWidth = 1.5 * unit;
  g.beginPath();
  for (let i = 0; i < x.length; i++) {
    arrow(g, on_line(pen, x[i]), (0.69 + 0.03 * (i % 2)) * side, Math.sign(push[i]) * 34 * unit * Math.sqrt(Math.abs(push[i]) / most), 0);
  }
  g.stroke();
}
