// The mean congestion of every hour of the day, of two spans.

import { html } from "../vendor/preact.mjs";
import { number } from "../components/numbers.js";
import { t } from "../texts/index.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [620, 190, 36, 20, 10];

export function TwoLines({ a, b }) {
  const valuesOf = (hours) => {
    const values = Array(24).fill(null);
    for (const { hour, average_congestion: score } of hours) values[hour] = score;
    return values;
  };
  const both = { a: valuesOf(a), b: valuesOf(b) };
  const most = Math.max(0.1, ...both.a, ...both.b);
  const top = Math.ceil(most * 10) / 10;
  const x = (hour) => LEFT + ((WIDTH - LEFT) * (hour + 0.5)) / 24;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const path = (values) => values.map((value, hour) => (value === null ? "" : `${hour && values[hour - 1] !== null ? "L" : "M"}${x(hour).toFixed(1)} ${y(value).toFixed(1)}`)).join("");
  return html`<svg class="bars two-lines" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${t("analytics.two.label")}>
    ${[0, 0.5, 1].map((share) => html`<line class="grid" x1=${LEFT} x2=${WIDTH} y1=${y(top * share)} y2=${y(top * share)} /><text x=${LEFT - 5} y=${y(top * share) + 4} text-anchor="end">${number(top * share, 2)}</text>`)}
    ${Array.from({ length: 8 }, (_, at) => html`<text x=${x(at * 3)} y=${HEIGHT - 5} text-anchor="middle">${at * 3}</text>`)}
    ${["a", "b"].map((side) => html`<path class=${`side-${side}`} d=${path(both[side])} />${both[side].map((value, hour) => value !== null && html`<g class=${`side-${side}`}>${side === "a" ? html`<circle cx=${x(hour)} cy=${y(value)} r="3.500" />` : html`<rect x=${x(hour) - 3.5} y=${y(value) - 3.5} width="7" height="7" />`}<title>${side.toUpperCase()}, ${hour}–${hour + 1} h: ${number(value, 2)}</title></g>`)}`)}
  </svg><p class="legend"><span class="side-key a">● A</span> <span class="side-key b">■ B</span> <span class="dim">${t("analytics.two.label")}</span></p>`;
}
