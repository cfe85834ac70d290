// Levels, severities and flows: a word, and a shape that says the same as its colour.

import { html } from "../vendor/preact.mjs";
import { STEPS } from "../roads/flow.js";
import { t } from "../texts/index.js";

export const LEVELS = ["SEVERE", "HIGH", "MODERATE", "LOW", "UNKNOWN"];
const BARS = { SEVERE: 4, HIGH: 3, MODERATE: 2, LOW: 1, UNKNOWN: 0 };

export function Level({ level }) {
  const name = level ?? "UNKNOWN";
  return html`<span class="level" data-level=${name}>
    <svg viewBox="0 0 16 14" aria-hidden="true">${[0, 1, 2, 3].map((bar) => html`<rect x=${bar * 4} y=${9 - bar * 3} width="3" height=${4 + bar * 3} rx=".8" fill="currentColor" opacity=${bar < BARS[name] ? 1 : 0.22} />`)}</svg>
    ${t(`shell.level.${name}`)}
  </span>`;
}

export function Severity({ severity, word }) {
  return html`<span class="severity" data-severity=${severity}>${word ?? t(`alerts.severity.${severity}`)}</span>`;
}

export function Flow({ step }) {
  const { name } = STEPS[step];
  return html`<span class="flow" data-flow=${name}><i class="swatch"></i>${t(`roads.flow.${name}`)}</span>`;
}
