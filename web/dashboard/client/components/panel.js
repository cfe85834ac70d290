// A part of a room with a title, that says when it has nothing yet, nothing at all, or something old.

import { html } from "../vendor/preact.mjs";
import { ageText } from "../shell/times.js";
import { t } from "../texts/index.js";

/**
 * @param props.answer what `useAnswer` gave; without one the children are shown.
 * @param props.empty what to say instead of the children; nothing: they are shown.
 * @param props.level of the heading, 2 unless said.
 */
export function Panel({ title, of, tools, answer, empty, flush, level = 2, className = "", children }) {
  const known = !answer || answer.body !== null;
  // it was not refused, it is not its turn yet
  const waits = !known && answer.problem?.status === 429;
  const Heading = `h${level}`;
  return html`<section class=${`panel ${className}`} aria-busy=${!known && (!answer.problem || waits)}>
    ${title && html`<header><${Heading}>${title}<//>${of && html`<span class="of">${of}</span>`}${tools && html`<div class="tools">${tools}</div>`}</header>`}
    ${answer?.problem && known && html`<p class="told" role="status">${t("shell.problem.kept", { why: answer.problem.message, age: ageText(answer.at) })}</p>`}
    <div class=${flush ? "inside flush" : "inside"}>
      ${!known && !answer.problem && html`<${Waiting} />`}
      ${waits && html`<${Waiting} /><p class="by">${t("shell.turn")}</p>`}
      ${!known && answer.problem && !waits && html`<p class="empty" role="status">${t("shell.problem", { why: answer.problem.message })}</p>`}
      ${known && (empty ? html`<div class="empty">${empty}</div>` : children)}
    </div>
  </section>`;
}

export function Waiting() {
  return html`<div role="status"><span class="unseen">${t("shell.loading")}</span><div class="skeleton"></div><div class="skeleton"></div><div class="skeleton"></div></div>`;
}

/** Names with their values; entries that are null are left out. */
export function Facts({ entries }) {
  return html`<dl class="facts">${entries.filter(Boolean).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A few numbers, large. */
export function Figures({ entries }) {
  return html`<dl class="figures">${entries.map(([name, value, unit]) => html`<div><dt>${name}</dt><dd>${value}${unit && html` <small>${unit}</small>`}</dd></div>`)}</dl>`;
}
