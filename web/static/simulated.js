// Tells in every page's head that what is shown was simulated, as long as it is.

import { ask, Asking } from "./asking.js";
import { $ } from "./elements.js";

const EVERY_MS = 30_000;

/** What was told stays while nothing is answered. */
export function watchSimulated() {
  new Asking(() => ask("/api/simulated-spans"), EVERY_MS, (spans) => {
    $("simulated").hidden = !spans.some((span) => span.goes_on);
  }, () => {});
}
