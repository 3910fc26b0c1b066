/** Play, pause, single moves, slow motion and the timeline. */

import { button, by_id, el } from "./dom.mjs";

const LINE_TIME = 1300, SHOWN_EVERY = 100;

class Transport {
  constructor(page) {
    this.page = page;
    this.play = button("Play", () => this.toggle(), { class: "main" });
    this.slow = button("Slow motion", () => this.slow_motion(!this.timer), { "aria-pressed": "false" });
    this.range = el("input", { type: "range", id: "timeline", min: 0, max: 0, step: 1, oninput: () => this.scrub() });
    this.label = el("label", { for: "timeline" }, "Step 0");
    by_id("transport").append(this.play, ...this.moves(), el("div", { class: "timeline" }, this.label, this.range));
    addEventListener("keydown", (event) => this.key(event));
  }

  moves() {
    const move = (kind) => () => this.alone(() => this.page.send({ do: "move", kind }));
    return [
      button("Step", move("r"), { title: "One round of Algorithm 1" }),
      button("D only", move("D"), { title: "One update of D" }),
      button("G only", move("G"), { title: "One update of G" }),
      button("Next line", () => this.alone(() => this.page.send({ do: "line" })), { title: "One line of Algorithm 1" }),
      this.slow,
      button("Back", () => this.alone(() => this.page.send({ do: "go_to", t: this.t - 1 })), { title: "The move before" }),
      button("Start over", () => this.alone(() => this.page.begin())),
    ];
  }

  /** Stop what plays by itself, then act. */
  alone(act) {
    this.slow_motion(false);
    if (this.playing) this.page.send({ do: "pause" });
    if (this.page.minibatch) {
      this.page.minibatch = null;
      this.page.line_shown(null);
    }
    act();
  }

  toggle() {
    const was = this.playing;
    this.alone(() => this.page.send({ do: was ? "pause" : "play" }));
  }

  slow_motion(on) {
    if (on === Boolean(this.timer)) return;
    clearInterval(this.timer);
    this.timer = null;
    this.slow.setAttribute("aria-pressed", String(on));
    if (!on) return;
    if (this.playing) this.page.send({ do: "pause" });
    this.page.send({ do: "line" });
    this.timer = setInterval(() => this.page.send({ do: "line" }), LINE_TIME);
  }

  scrub() {
    const t = Number(this.range.value);
    this.label.textContent = `Step ${t}`;
    this.alone(() => this.page.send({ do: "go_to", t }));
  }

  /** Space plays, unless it belongs to what has the focus. */
  key(event) {
    if (event.key !== " " || /^(BUTTON|INPUT|SELECT|TEXTAREA|SUMMARY|CANVAS)$/.test(document.activeElement?.tagName)) return;
    if (by_id("game-view").hidden) return;
    event.preventDefault();
    this.toggle();
  }

  update(seen, playing) {
    const now = performance.now(), soon = playing && this.playing && now - this.updated < SHOWN_EVERY;
    Object.assign(this, { t: seen.t, playing });
    if (soon) return;
    this.updated = now;
    this.play.textContent = playing ? "Pause" : "Play";
    this.range.max = seen.length;
    if (document.activeElement !== this.range || playing) this.range.value = seen.t;
    this.label.textContent = `Step ${seen.t}`;
  }
}

export function make_transport(page) {
  return new Transport(page);
}
