// The clock of an incident: its steps in order, when each was taken, and how long it took from the one before.

import { html } from "../vendor/preact.mjs";
import { number } from "../components/numbers.js";
import { Moment, now } from "../shell/times.js";
import { t } from "../texts/index.js";

const STEPS = ["reported", "verified", "responding", "cleared", "normal"];

/** Seconds as people say them: "45 s", "12 min", "3.4 h". */
export function lasting(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 100) return t("incidents.seconds", { n: number(seconds) });
  if (seconds < 6000) return t("incidents.minutes", { n: number(seconds / 60) });
  return t("incidents.hours", { n: number(seconds / 3600, 1) });
}

export function Clock({ told }) {
  const at = STEPS.map((step) => (told[`${step}_at`] ? Date.parse(told[`${step}_at`]) : null));
  const ended = told.state === "rejected" || told.state === "normal";
  const last = at.findLastIndex((moment) => moment !== null);
  return html`<figure class="clock"><figcaption>${t("incidents.clock")}</figcaption>
    <ol>${STEPS.map((step, position) => {
    const before = at.slice(0, position).findLast((moment) => moment !== null) ?? null;
    const took = at[position] !== null && before !== null ? (at[position] - before) / 1000 : null;
    const waits = !ended && position === last + 1 && before !== null;
    return html`<li key=${step} data-reached=${at[position] !== null} data-waits=${waits}>
      <i aria-hidden="true"></i><b>${t(`incidents.step.${step}`)}</b>
      <span>${at[position] !== null ? html`<${Moment} iso=${told[`${step}_at`]} />` : t(waits ? "incidents.waits" : "incidents.not.yet")}</span>
      <span class="took">${took !== null ? `+ ${lasting(Math.max(0, took))}` : waits ? lasting(Math.max(0, (now.value - before) / 1000)) : ""}</span>
    </li>`;
  })}</ol>
    ${told.state === "rejected" && html`<p class="by">${t("incidents.rejected")} <${Moment} iso=${told.rejected_at} /></p>`}
  </figure>`;
}
