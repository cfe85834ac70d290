// The last windows of a camera as a small line; a gap where there was none.

import { html } from "../vendor/preact.mjs";

const WIDTH = 190;
const HEIGHT = 28;

/** @param props.points `[[start ms, value], …]` ascending; `size` ms of a window; `count` of windows that fit. */
export function Spark({ points, size, count, end }) {
  const { line, area } = pathOf(points, size, count, end);
  return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true"><path class="area" d=${area} /><path d=${line} /></svg>`;
}

function pathOf(points, size, count, end) {
  const since = end - count * size;
  const most = Math.max(5, ...points.map(([, value]) => value));
  const x = (start) => (((start - since) / size / Math.max(1, count - 1)) * (WIDTH - 4) + 2).toFixed(1);
  const y = (value) => (HEIGHT - 2 - (value / most) * (HEIGHT - 5)).toFixed(1);
  let line = "";
  let area = "";
  let before = null;
  let begin = 0;
  const close = () => { if (before !== null) area += `L${x(before)} ${HEIGHT - 1}L${begin} ${HEIGHT - 1}Z`; };
  for (const [start, value] of points) {
    if (start < since) continue;
    const place = `${x(start)} ${y(value)}`;
    if (before === null || start - before > size * 1.5) {
      close();
      begin = x(start);
      line += `M${place}h.01`;
      area += `M${place}`;
    } else {
      line += `L${place}`;
      area += `L${place}`;
    }
    before = start;
  }
  close();
  return { line, area };
}
