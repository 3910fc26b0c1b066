/** Where the bundle begins: as a page, or as the worker that the page starts from the same text. */

import { Page } from "./page.mjs";
import { make_tabs } from "./runs.mjs";
import { start_worker } from "./worker.mjs";

/** @param source The text of the whole bundle: workers of a file:// page start from a Blob only. */
export function main(source) {
  if (typeof document === "undefined") {
    start_worker(globalThis);
    return;
  }
  const make_worker = () => new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  window.studio = new Page(make_worker);
  make_tabs(globalThis.studio_runs ?? []);
}
