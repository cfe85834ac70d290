// Bars over the 24 hours of the day; hours without a value stay empty.

import { html } from "../vendor/preact.mjs";
import { number } from "./numbers.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [480, 160, 32, 18, 8];

export function HourBars({ values, label, unit, isMarked = () => false }) {
  const most = Math.max(...values.filter((value) => value !== null), 0.001);
  const step = 10 ** Math.floor(Math.log10(most)) * ([1, 2, 5, 10].find((times) => most / (times * 10 ** Math.floor(Math.log10(most))) <= 5) ?? 10);
  const top = Math.ceil(most / step) * step;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const slot = (WIDTH - LEFT) / 24;
  const lines = Array.from({ length: Math.round(top / step) + 1 }, (_, at) => at * step);
  return html`<svg class="bars" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${label}>
    ${lines.map((value) => html`<line class="grid" x1=${LEFT} x2=${WIDTH} y1=${y(value)} y2=${y(value)} /><text x=${LEFT - 5} y=${y(value) + 4} text-anchor="end">${number(value, step < 1 ? 1 : 0)}</text>`)}
    ${values.map((value, hour) => value !== null && html`<rect class=${isMarked(hour) ? "rush" : ""} x=${LEFT + hour * slot + 2} width=${slot - 4} y=${y(value)} height=${Math.max(0, y(0) - y(value))} rx="1.500"><title>${hour}:00: ${number(value, 1)} ${unit}</title></rect>`)}
    ${values.map((_, hour) => hour % 3 === 0 && html`<text x=${LEFT + (hour + 0.5) * slot} y=${HEIGHT - 4} text-anchor="middle">${hour}</text>`)}
  </svg>`;
}
