/** The training of a run: its curves, its samples along the way, and what is new while it goes on. */

import { Chart, shown } from "./charts.mjs";
import { button, el } from "./dom.mjs";

const PICTURES = 24;
const GONE = "The server does not answer; the page tries again. The run goes on without it.";

export class Training {
  /** @param renewed Gets the run as it stands at a newer checkpoint. */
  constructor(source, renewed) {
    Training.events?.close();
    Object.assign(this, { source, run: source.run, number: source.number, renewed });
    this.part = this.parts();
    this.curves(this.run.curves);
    if (source.served) this.watch();
  }

  parts() {
    this.charts = [
      new Chart("run-V", "V(D, G)", "in nats, as logged", [{ title: "V", kind: "data" }]),
      new Chart("run-D", "D(x) and D(G(z))", "as logged", [{ title: "D(x)", kind: "data" }, { title: "D(G(z))", kind: "sample" }], { low: 0, high: 1 }),
    ];
    this.film = el("div", {});
    this.live = el("p", { class: "small", "aria-live": "polite" });
    this.state = el("p", { class: "notice", "aria-live": "polite", hidden: true });
    this.newer = el("div", { class: "row" });
    this.make_film();
    return el("section", { "aria-label": "Training" }, el("h3", {}, "Training"), this.live, this.state, this.newer, this.film, el("div", { class: "pair" }, ...this.charts.map((chart) => chart.figure)));
  }

  make_film() {
    const updates = this.run.pictures;
    if (!updates.length) return;
    const image = el("img", { class: "picture large", alt: "" }), label = el("label", { for: "film" });
    const input = el("input", { type: "range", id: "film", min: 0, max: updates.length - 1, step: 1, oninput: () => show(Number(input.value)) });
    const show = (i) => {
      image.src = `run-${this.number}/${updates[i]}.png`;
      image.alt = `Samples of the same z at update ${updates[i]}`;
      label.textContent = `Samples at update ${updates[i].toLocaleString("en")}`;
    };
    input.value = updates.length - 1;
    show(updates.length - 1);
    this.film.replaceChildren(el("div", { class: "field" }, label, input), image);
  }

  curves(rows) {
    this.rows = rows;
    this.charts[0].draw(rows.map((row) => [row[0], row[1]]), [[-Math.log(4), "-log 4"]]);
    this.charts[1].draw(rows.map((row) => [row[0], row[3], row[4]]), [[0.5, "1/2"]]);
  }

  /** Follow the run while it trains: the browser comes back by itself when the line breaks. */
  watch() {
    const events = (Training.events = new EventSource(`run-${this.number}/events`));
    events.onmessage = ({ data }) => this.told(JSON.parse(data));
    events.onerror = () => (this.live.textContent = GONE);
    events.onopen = () => (this.first = true);
  }

  told({ id, rows, warnings, again, picture, checkpoint, state, ended }) {
    if (id !== undefined && id !== this.run.id) {
      Training.events.close();
      this.say("Another run is served at this address by now; load the page anew to see it.");
      return;
    }
    if (rows.length) this.curves(thinned(again || this.first ? rows : [...this.rows, ...rows]));
    if (picture !== undefined && picture !== this.run.pictures.at(-1)) {
      this.run.pictures = [...this.run.pictures.slice(1 - PICTURES), picture];
      this.make_film();
    }
    if (checkpoint != null && checkpoint > (this.run.newest ?? -1)) this.offer(checkpoint);
    if (state !== undefined) this.say(state);
    if (ended !== undefined) this.over(ended);
    const last = this.rows.at(-1);
    if (last) this.live.textContent = `Watched: update ${last[0].toLocaleString("en")}, V ${shown(last[1])}. ${warnings.at(-1) ?? ""}`;
    this.first = false;
  }

  /** What became of the training, in a sentence; none while it goes on. */
  say(text) {
    this.state.hidden = !text;
    this.state.textContent = text;
  }

  /** The training has ended and its page with it; when it is resumed it may be watched again. */
  over(sentence) {
    Training.events.close();
    this.say(sentence);
    this.newer.replaceChildren(button("Watch again", () => {
      this.newer.replaceChildren();
      this.watch();
    }));
  }

  /** A newer checkpoint than the one that this page looks into. */
  offer(update) {
    this.newer.replaceChildren(button(`Look into update ${update.toLocaleString("en")}`, async () => {
      try {
        const script = await (await fetch(`run-${this.number}.js`)).text();
        this.renewed(JSON.parse(script.slice(script.indexOf("push(") + 5, script.lastIndexOf(")"))));
      } catch {
        this.live.textContent = GONE;
      }
    }));
  }
}

/** At most a few hundred rows, evenly. */
function thinned(rows, most = 600) {
  const step = Math.ceil(rows.length / most) || 1;
  return rows.filter((_, i) => i % step === 0 || i === rows.length - 1);
}
