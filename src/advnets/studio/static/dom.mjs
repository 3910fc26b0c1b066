/** Making elements. Text is always text: nothing from a file or a person is read as markup. */

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(made, name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function set(made, name, value) {
  if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
  else if (value === true) made.setAttribute(name, "");
  else if (value !== false && value !== null) made.setAttribute(name, value);
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function by_id(id) {
  return document.getElementById(id);
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

/** One labelled native input for an entry of OPTIONS or VIEW; `changed` gets its value. */
export function field(name, spec, value, changed) {
  const id = `field-${name}`;
  if (typeof spec.default === "boolean") {
    const input = el("input", { type: "checkbox", id, onchange: () => changed(input.checked) });
    input.checked = value;
    return el("div", { class: "field check" }, input, el("label", { for: id }, spec.label));
  }
  if (spec.choices) return el("div", { class: "field" }, el("label", { for: id }, spec.label), chooser(id, spec, value, changed));
  const [min, max, step] = spec.range;
  const input = el("input", { type: "number", id, min, max, step, onchange: () => changed(input.value) });
  input.value = value;
  return el("div", { class: "field" }, el("label", { for: id }, spec.label), input);
}

function chooser(id, spec, value, changed) {
  const options = spec.choices.map(([key, title]) => el("option", { value: key }, title));
  const select = el("select", { id, onchange: () => changed(select.value) }, ...options);
  select.value = String(value);
  return select;
}

/** A table of numbers: columns of titles, rows of cells. */
export function table(caption, titles, rows) {
  const head = el("tr", {}, ...titles.map((title) => el("th", { scope: "col" }, title)));
  const body = rows.map(([first, ...rest]) =>
    el("tr", {}, el("th", { scope: "row" }, first), ...rest.map((cell) => el("td", {}, cell))));
  return el("table", {}, el("caption", { class: "small" }, caption), el("thead", {}, head), el("tbody", {}, ...body));
}
