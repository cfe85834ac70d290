// The city over the day, and how right forecasts were: small charts, each with its figures as a table.

import { drawing, element } from "../elements.js";

const WIDTH = 420;
const HEIGHT = 150;
const LEFT = 30;
const BOTTOM = 18;
const TOP = 8;

export function tableOf(names, rows) {
  const table = element("table");
  const head = element("tr");
  for (const name of names) {
    const cell = element("th", "", name);
    cell.scope = "col";
    head.append(cell);
  }
  table.append(element("thead"), element("tbody"));
  table.tHead.append(head);
  for (const row of rows) {
    const line = element("tr");
    row.forEach((value, at) => {
      if (value instanceof Node) return line.append(value);
      const cell = element(at ? "td" : "th", "", String(value));
      if (!at) cell.scope = "row";
      line.append(cell);
    });
    table.tBodies[0].append(line);
  }
  return table;
}

export function folded(name, ...what) {
  const box = element("details");
  box.append(element("summary", "", name), ...what);
  return box;
}

/** Bars over the 24 hours of the day; hours without a value stay empty. */
export function hourChart(values, label, isRush) {
  const most = Math.max(...values.filter((value) => value !== null), 1);
  const step = [5, 10, 20, 50].find((size) => most / size <= 5) ?? 100;
  const top = Math.ceil(most / step) * step;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const slot = (WIDTH - LEFT) / 24;
  const chart = drawing("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  for (let value = 0; value <= top; value += step) {
    chart.append(drawing("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }), drawing("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, String(value)));
  }
  values.forEach((value, hour) => {
    const x = LEFT + hour * slot;
    if (value !== null) {
      const bar = drawing("rect", { class: isRush(hour) ? "bar-mark rush" : "bar-mark", x: x + 2, width: slot - 4, y: y(value), height: Math.max(0, y(0) - y(value)), rx: 1.5 });
      bar.append(drawing("title", {}, `${hour}:00: ${value.toFixed(1)} km/h`));
      chart.append(bar);
    }
    if (hour % 3 === 0) chart.append(drawing("text", { x: x + slot / 2, y: HEIGHT - 4, "text-anchor": "middle" }, String(hour)));
  });
  return chart;
}
