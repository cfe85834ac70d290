// The rush hours of a week: hour of the day by day of the week, the mean of all hours of the span.

import { html } from "../vendor/preact.mjs";
import { number } from "../components/numbers.js";
import { locale } from "../shell/times.js";
import { t } from "../texts/index.js";

/** What is shown, and whether more of it is worse. */
export const MEASURES = {
  speed: { field: "avg_speed_kmh", digits: 1, unit: "km/h", moreIsWorse: false },
  congestion: { field: "avg_congestion_score", digits: 2, unit: "", moreIsWorse: true },
  vehicles: { field: "avg_vehicle_count", digits: 1, unit: "", moreIsWorse: true },
};
const [LEFT, TOP, SLOT, HEIGHT] = [44, 20, 30, 26];
const STEPS = 5;

/** Monday first; a cell is the mean of its hours, each weighing as many windows as it has; null where there is none. */
export function weekOf(hours, field) {
  const sums = Array.from({ length: 7 }, () => Array.from({ length: 24 }, () => [0, 0]));
  for (const row of hours) {
    const [, year, month, day, hour] = /^(\d{4})-(\d\d)-(\d\d)T(\d\d)/.exec(row.local_hour_start) ?? [];
    if (!year || row[field] === null || !row.windows) continue;
    const cell = sums[(new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7][Number(hour)];
    cell[0] += row[field] * row.windows;
    cell[1] += row.windows;
  }
  return sums.map((row) => row.map(([sum, weight]) => (weight ? sum / weight : null)));
}

// 2024 began on a Monday
export const dayName = (at, width = "short") => new Intl.DateTimeFormat(locale(), { weekday: width, timeZone: "UTC" }).format(Date.UTC(2024, 0, 1 + at));

export function WeekHeat({ week, measure }) {
  const { digits, unit, moreIsWorse } = MEASURES[measure];
  const known = week.flat().filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const apart = number(low, digits) !== number(high, digits);
  const step = (value) => {
    if (!apart) return 0;
    const share = (value - low) / (high - low);
    return Math.min(STEPS - 1, Math.floor((moreIsWorse ? share : 1 - share) * STEPS));
  };
  const bounds = Array.from({ length: apart ? STEPS : 1 }, (_, at) => (moreIsWorse ? low + ((high - low) * at) / STEPS : high - ((high - low) * at) / STEPS));
  const label = t("analytics.week.label", { what: t(`analytics.measure.${measure}`), low: number(low, digits), high: number(high, digits), unit });
  return html`<div class="sideways" tabindex="0" role="region" aria-label=${label}><svg class="week" viewBox=${`0 0 ${LEFT + 24 * SLOT} ${TOP + 7 * HEIGHT}`} role="img" aria-label=${label}>
    ${Array.from({ length: 8 }, (_, at) => html`<text x=${LEFT + (at * 3 + 0.5) * SLOT} y=${TOP - 7} text-anchor="middle">${at * 3}</text>`)}
    ${week.map((row, day) => html`<text x=${LEFT - 8} y=${TOP + (day + 0.65) * HEIGHT} text-anchor="end">${dayName(day)}</text>
      ${row.map((value, hour) => html`<rect class=${value === null ? "none" : `heat${step(value)}`} x=${LEFT + hour * SLOT + 1} y=${TOP + day * HEIGHT + 1} width=${SLOT - 2} height=${HEIGHT - 2} rx="3"><title>${dayName(day, "long")} ${hour}–${hour + 1} h: ${value === null ? "–" : `${number(value, digits)} ${unit}`}</title></rect>
        ${value !== null && html`<text class=${`in heat${step(value)}`} x=${LEFT + (hour + 0.5) * SLOT} y=${TOP + (day + 0.65) * HEIGHT} text-anchor="middle">${number(value, value < 10 && digits ? (digits === 2 ? 2 : 1) : 0)}</text>`}`)}`)}
  </svg></div>
  <ul class="legend">${bounds.map((bound, at) => html`<li><i class=${`key heat${at}`}></i> ${moreIsWorse ? "≥" : "≤"} ${number(bound, digits)} ${unit}</li>`)}</ul>`;
}

export function WeekTable({ week, measure }) {
  const { digits } = MEASURES[measure];
  return html`<details><summary>${t("shell.figures")}</summary><div class="sideways" tabindex="0" role="region" aria-label=${t("shell.figures")}><table><thead><tr><th scope="col">${t("roads.hour")}</th>${week.map((_, day) => html`<th scope="col" class="number">${dayName(day)}</th>`)}</tr></thead>
    <tbody>${Array.from({ length: 24 }, (_, hour) => html`<tr><th scope="row">${hour}–${hour + 1} h</th>${week.map((row) => html`<td class="number">${number(row[hour], digits)}</td>`)}</tr>`)}</tbody></table></div></details>`;
}
