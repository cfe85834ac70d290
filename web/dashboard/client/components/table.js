// A table whose columns sort, for figures and as the words of a map.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { t } from "../texts/index.js";
import { firstInOrder } from "./order.js";

const STEP = 60;

/**
 * @param props.columns `{key, title, value(row) for order, cell(row), number}`; the first is the row's heading. `first(count,
 *   down)` tells the first rows, where there are thousands whose order somebody knows already.
 * @param props.rows any, the same array as long as nothing changed, or `of` is another value when something did; `keyOf(row)` is a row's key.
 * @param props.isInPlace whether rows are written anew where they stand when their order changes, instead of moved: less work where most change.
 * @param props.order `{key, down}` at the begin; without it rows stay as they come.
 */
export function Table({ caption, columns, rows, keyOf, order, chosen, label, of, isInPlace, limit = STEP }) {
  const [sorting, setSorting] = useState(order ?? null);
  const [shown, setShown] = useState(limit);
  const column = sorting && columns.find(({ key }) => key === sorting.key);
  const listed = useMemo(() => (column ? inOrder(rows, column, sorting.down, keyOf, shown) : rows.slice(0, shown)), [rows, of, sorting?.key, sorting?.down, shown]);
  const turn = (key, number) => setSorting((before) => ({ key, down: before?.key === key ? !before.down : Boolean(number) }));
  return html`<div class="sideways" role="region" tabindex="0" aria-label=${caption ?? label}>
    <table>
      ${caption && html`<caption>${caption}</caption>`}
      <thead><tr>${columns.map(({ key, title, value, number }) => html`
        <th scope="col" class=${number ? "number" : ""} aria-sort=${sorting?.key === key ? (sorting.down ? "descending" : "ascending") : undefined}>
          ${value ? html`<button type="button" onClick=${() => turn(key, number)}>${title}${sorting?.key === key ? (sorting.down ? " ▾" : " ▴") : ""}</button>` : title}
        </th>`)}</tr></thead>
      <tbody>${listed.map((row, place) => html`<tr key=${isInPlace ? place : keyOf(row)} aria-selected=${chosen === keyOf(row) ? "true" : undefined}>
        ${columns.map(({ key, cell, number }, at) => (at === 0
          ? html`<th key=${key} scope="row" class=${number ? "number" : ""}>${cell(row)}</th>`
          : html`<td key=${key} class=${number ? "number" : ""}>${cell(row)}</td>`))}
      </tr>`)}</tbody>
    </table>
    ${rows.length > shown && html`<p><button type="button" class="button" onClick=${() => setShown(shown + 4 * STEP)}>${t("shell.more")} (${rows.length - shown})</button></p>`}
  </div>`;
}

const collator = new Intl.Collator(undefined, { numeric: true });
/** Of equal ones, which are many: quicker than as people would have it. */
const sameOrder = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const isMissing = (value) => value === null || value === undefined || Number.isNaN(value);

/** The first rows; what is not known comes last, whichever way. */
function inOrder(rows, column, down, keyOf, count) {
  const first = column.first?.(count, down);
  if (first?.length === Math.min(count, rows.length)) return first;
  // nothing is known of any
  if (first?.length === 0) return rows.slice(0, count);
  const values = rows.map((row) => column.value(row));
  const places = firstInOrder([...rows.keys()], count, (one, other) => {
    const [a, b] = [values[one], values[other]];
    const order = isMissing(a) || isMissing(b) ? isMissing(a) - isMissing(b) : compare(a, b) * (down ? -1 : 1);
    return order || sameOrder(keyOf(rows[one]), keyOf(rows[other]));
  });
  return places.map((place) => rows[place]);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return collator.compare(String(a), String(b));
}
