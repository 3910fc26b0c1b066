/** The failures to be seen and mended, and the tour of Sections 3 and 4. */

import { button, by_id, el } from "./dom.mjs";
import { FAILURES, TOUR } from "./texts.mjs";

export function make_lessons(page) {
  by_id("lessons").replaceChildren(
    el("h2", {}, "Guided tour of Sections 3 and 4"), tour(page),
    el("h2", {}, "Failures, and what mends them"),
    el("div", { class: "cards" }, ...FAILURES.map((failure) => card(page, failure))),
  );
}

function card(page, { name, says, mends, options, steps, view, mend }) {
  const shown = el("div", { class: "row" },
    button("Show it", () => page.choose({ options, view, moves: `r${steps}` }), { "aria-label": `Show it: ${name}` }),
    button("Mend it", () => page.choose({ options: { ...options, ...mend }, view, moves: `r${steps}` }), { "aria-label": `Mend it: ${name}` }));
  return el("article", { class: "card" }, el("h3", {}, name), el("p", {}, says), el("p", {}, el("strong", {}, "What mends it: "), mends), shown);
}

function tour(page) {
  let at = -1;
  const place = el("div", { class: "card", "aria-live": "polite" });
  const show = () => {
    const [title, words, { options, view, steps, moves }] = TOUR[at];
    place.replaceChildren(el("h3", {}, `${at + 1} of ${TOUR.length}: ${title}`), el("p", {}, words), el("div", { class: "row" }, back, next));
    back.disabled = at === 0;
    next.textContent = at + 1 < TOUR.length ? "Next" : "Begin again";
    page.choose({ options, view, moves: moves ?? (steps ? `r${steps}` : "") });
  };
  const go = (to) => {
    at = (to + TOUR.length) % TOUR.length;
    show();
    next.focus();
  };
  const back = button("Back", () => go(at - 1), { "aria-label": "Back in the tour" }), next = button("Begin the tour", () => go(at + 1));
  place.append(el("p", {}, "Six stops, each a game to be played."), next);
  return place;
}
