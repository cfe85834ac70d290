// The parts of a room that is too much for one page; which one is shown stands in the address.

import { html } from "../vendor/preact.mjs";
import { linkTo } from "../shell/route.js";

/** @param props.parts `[[id, title], …]`; the first is shown unless the address says another. */
export function Parts({ room, label, parts, shown }) {
  return html`<nav class="parts" aria-label=${label}>${parts.map(([id, title], at) => html`<a key=${id} href=${linkTo(room, at ? { part: id } : {})} aria-current=${id === shown ? "page" : undefined}>${title}</a>`)}</nav>`;
}

export const partOf = (parts, asked) => (parts.find(([id]) => id === asked) ?? parts[0])[0];
