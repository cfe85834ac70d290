// Words of vehicles: how late, how full, how they are spaced.

import { html } from "../vendor/preact.mjs";
import { lasting } from "../incidents/clock.js";
import { percent } from "../components/numbers.js";
import { t, wordOf } from "../texts/index.js";

const LATE_SECONDS = 300;
const EARLY_SECONDS = -60;

export function Late({ seconds }) {
  if (seconds === null || seconds === undefined) return "–";
  const word = seconds > LATE_SECONDS ? "late" : seconds < EARLY_SECONDS ? "early" : "on.time";
  return html`<span class="punctual" data-word=${word}>${t(`transit.${word}`)}${Math.abs(seconds) >= 30 ? `, ${seconds < 0 ? "−" : "+"}${lasting(Math.abs(seconds))}` : ""}</span>`;
}

export function Spacing({ spacing, headway }) {
  if (headway === null || headway === undefined) return "–";
  return html`<span class="spacing" data-spacing=${spacing ?? ""}>${lasting(headway)}${spacing && spacing !== "regular" ? ` · ${t(`transit.spacing.${spacing}`)}` : ""}</span>`;
}

export function occupancyText({ occupancy_status: status, occupancy_percentage: share, passenger_count: people }) {
  const word = status && status !== "NO_DATA_AVAILABLE" ? wordOf("transit.occupancy", status) : null;
  return [people !== null && people !== undefined ? String(people) : null, share !== null && share !== undefined ? percent(share / 100) : null, word].filter(Boolean).join(" · ") || "–";
}
