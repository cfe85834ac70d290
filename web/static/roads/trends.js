// The city over the day, and how right forecasts were: small charts, each with its figures as a table.

import { ask, Asking } from "../asking.js";
import { $, drawing, element } from "../elements.js";
import { kmh } from "./scale.js";

const EVERY_MS = 60_000;
const HOUR_MS = 3_600_000;

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

const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(0)} %`);
const hours = ({ from_hour, to_hour }) => `${from_hour}–${to_hour} h`;

/** Share of a time that lies in spans, which come in order of their begin and may overlap. */
function simulatedShare(spans, since, until) {
  let covered = 0;
  let reached = since;
  for (const span of spans) {
    const begin = Math.max(Date.parse(span.from), reached);
    const end = Math.min(Date.parse(span.to), until);
    if (end > begin) covered += end - begin;
    reached = Math.max(reached, end);
  }
  return covered / (until - since);
}

function simulatedNote(share) {
  if (!share) return [];
  const part = share > 0.99 ? "All" : `About ${Math.max(1, Math.round(100 * share))} %`;
  return [element("p", "by baseline", `${part} of this time was simulated: nothing in it was measured.`)];
}

export class Trends {
  /** @param choose called with the id of a road that is clicked. */
  constructor(choose) {
    this.choose = choose;
    const asking = new Asking(() => this.ask(), EVERY_MS, (answer) => this.draw(answer), (problem) => this.fail(problem));
    $("span").addEventListener("change", () => asking.now());
  }

  async ask() {
    const until = Date.now();
    const since = until - Number($("span").value) * HOUR_MS;
    const range = new URLSearchParams({ from: new Date(since).toISOString(), to: new Date(until).toISOString() });
    const [trends, spans] = await Promise.all([ask(`/analytics/trends?${range}`, { timeoutMs: 60_000 }), ask(`/api/simulated-spans?${range}`)]);
    return { ...trends, simulated: simulatedShare(spans, since, until) };
  }

  fail({ message }) {
    for (const id of ["hours", "rush"]) $(id).replaceChildren(element("p", "dim", `Not known now: ${message}.`));
  }

  draw({ hourly_avg_speed: hourly, rush_hour_patterns: patterns, top_congested_roads: roads, simulated }) {
    const speeds = Array(24).fill(null);
    for (const { hour, speed } of hourly) speeds[hour] = speed;
    const known = speeds.filter((speed) => speed !== null);
    if (!known.length) {
      for (const id of ["hours", "rush"]) $(id).replaceChildren(element("p", "dim", "Nothing was measured in this time."));
      return;
    }
    const isRush = (hour) => patterns.some(({ from_hour, to_hour }) => hour >= from_hour && hour < to_hour);
    const label = `Mean speed of all roads by local hour, from ${kmh(Math.min(...known))} to ${kmh(Math.max(...known))} km/h. The figures are in the table below.`;
    const rows = speeds.flatMap((speed, hour) => (speed === null ? [] : [[`${hour}–${hour + 1} h`, speed.toFixed(1)]]));
    this.replace("hours", hourChart(speeds, label, isRush), element("p", "by", "km/h by hour of the city's time; rush hours are yellow, hours without measurements empty."), ...simulatedNote(simulated), folded("Figures", tableOf(["hour", "km/h"], rows)));
    this.replace("rush", ...simulatedNote(simulated), ...this.rush(patterns), element("h3", "", "Largest mean jam factor"), this.congested(roads));
  }

  rush(patterns) {
    if (!patterns.length) return [];
    const rows = patterns.map((pattern) => [
      `${pattern.name}, ${hours(pattern)}`,
      kmh(pattern.avg_speed),
      kmh(pattern.avg_speed_outside),
      pattern.slowdown === null ? "–" : pattern.slowdown < 0 ? `${percent(-pattern.slowdown)} faster` : `${percent(pattern.slowdown)} slower`,
      pattern.slowest_hour === null ? "–" : `${pattern.slowest_hour} h`,
    ]);
    return [tableOf(["rush hour", "km/h", "outside", "", "slowest"], rows)];
  }

  congested(roads) {
    return tableOf(["road", "jam factor", "km/h", "heavy"], roads.map((road) => {
      const name = element("th");
      name.scope = "row";
      const button = element("button", "link", road.road_name);
      button.type = "button";
      button.addEventListener("click", () => this.choose(road.road_id));
      name.append(button);
      return [name, road.avg_jam_factor.toFixed(1), kmh(road.avg_speed), percent(road.high_share)];
    }));
  }

  /** Puts new contents without closing what a person has opened, nor while the keyboard is in it. */
  replace(id, ...what) {
    const box = $(id);
    if (box.contains(document.activeElement) && document.activeElement.matches("button")) return;
    const open = [...box.querySelectorAll("details")].map((details) => details.open);
    box.replaceChildren(...what);
    box.querySelectorAll("details").forEach((details, at) => { details.open = Boolean(open[at]); });
  }
}
