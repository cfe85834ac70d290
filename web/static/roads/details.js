// One road in words, and the roads that flow worst.

import { agoText, element } from "../elements.js";
import { HORIZONS, speedAt, whoPredicts } from "./city.js";
import { kmh, stepOf, STEPS, UNKNOWN } from "./scale.js";

const SLOWEST = 8;

export const stepAt = (road, horizon) => stepOf(speedAt(road, horizon), road.freeFlowKmh);

export function briefly(road, horizon) {
  const speed = speedAt(road, horizon);
  const when = horizon ? `in ${HORIZONS[horizon]} min` : "now";
  const flow = STEPS[stepAt(road, horizon)].words;
  return speed === null ? `${road.name}: speed ${when} not known` : `${road.name}: ${kmh(speed)} km/h ${when}, ${flow}`;
}

function pair(list, name, ...what) {
  const value = element("dd");
  value.append(...what);
  list.append(element("dt", "", name), value);
}

function flowWord(step) {
  const word = element("span", "flow");
  word.dataset.flow = STEPS[step].name;
  word.append(element("i", "swatch"), STEPS[step].words);
  return word;
}

const TOLD = { historical: "Usual speed, told", speed_limit: "Speed limit, told" };

export function fillDetails(box, road) {
  if (!road) {
    box.replaceChildren(element("p", "dim", "Point at a road, move the cross onto one with the arrow keys, or find one by its name."));
    return;
  }
  const { now, prediction } = road;
  const title = element("h3", "", road.name);
  if (road.name !== road.id) title.append(element("span", "dim", ` ${road.id}`));
  const facts = element("dl", "facts");
  if (now) {
    if (now.closed) pair(facts, "Now", element("b", "", "closed to traffic"));
    else pair(facts, "Now", element("b", "", `${kmh(now.current_speed)} km/h `), flowWord(stepAt(road, 0)));
    pair(facts, "Jam factor", `${now.jam_factor.toFixed(1)} of 10, congestion ${now.congestion_level}`);
  } else pair(facts, "Now", "no recent speed from the feed");
  pair(facts, "Free flow", `${kmh(road.freeFlowKmh)} km/h, says ${road.freeFlowBy}`);
  const lanes = [...new Set(road.edges.map((edge) => edge.lanes))].join(" to ");
  pair(facts, "Road", `${lanes} ${lanes === "1" ? "lane" : "lanes"}, ${road.lengthM.toFixed(road.lengthM < 10 ? 1 : 0)} m`);
  if (now) pair(facts, now.closed ? "Told" : TOLD[now.speed_from] ?? "Measured", agoText(Date.parse(now.last_updated)));
  box.replaceChildren(title, facts, ...(prediction ? forecast(road) : [element("p", "dim", "No forecast for this road yet.")]));
}

function forecast(road) {
  const { prediction } = road;
  const table = element("table", "forecast");
  const head = element("tr");
  for (const name of ["in", "km/h", "in 4 of 5 cases", "confidence", ""]) head.append(element("th", "", name));
  table.append(element("thead"), element("tbody"));
  table.tHead.append(head);
  for (let horizon = 1; horizon < HORIZONS.length; horizon++) {
    const [low, high, confidence] = ["low_kmh", "high_kmh", "confidences"].map((field) => prediction[field][horizon - 1] ?? null);
    const row = element("tr");
    const name = element("th", "", `${HORIZONS[horizon]} min`);
    name.scope = "row";
    const flow = element("td");
    flow.append(flowWord(stepAt(road, horizon)));
    row.append(
      name,
      element("td", "strong", kmh(speedAt(road, horizon))),
      element("td", "", low === null || high === null ? "not known" : `${kmh(low)} to ${kmh(high)}`),
      element("td", "", confidence === null ? "–" : `${Math.round(confidence * 100)} %`),
      flow,
    );
    table.tBodies[0].append(row);
  }
  const baseline = prediction.source !== "model";
  const who = element("p", baseline ? "by baseline" : "by", `Predicted by ${whoPredicts(prediction.source)}, ${agoText(Date.parse(prediction.timestamp))}.`);
  if (prediction.note) who.append(` Why: ${prediction.note}.`);
  if (!baseline) who.append(` Version ${prediction.model_version}.`);
  return [table, who];
}

export function fillSlowest(list, city, horizon, choose, look) {
  const known = [...city.roads.values()].filter((road) => stepAt(road, horizon) !== UNKNOWN);
  const ratio = (road) => speedAt(road, horizon) / road.freeFlowKmh;
  const slowest = known.sort((a, b) => ratio(a) - ratio(b) || (a.id < b.id ? -1 : 1)).slice(0, SLOWEST);
  // what the keyboard is on must not go away under it
  const ids = slowest.map((road) => road.id).join("\n");
  if (list.contains(document.activeElement) && list.dataset.ids !== ids) return;
  const rows = list.dataset.ids === ids ? [...list.children] : slowest.map((road) => {
    const item = element("li");
    const button = element("button", "pick");
    button.type = "button";
    button.addEventListener("click", () => choose(road));
    for (const [event, target] of [["focus", road], ["mouseenter", road], ["blur", null], ["mouseleave", null]]) button.addEventListener(event, () => look(target));
    item.append(button);
    return item;
  });
  slowest.forEach((road, at) => {
    const speed = element("span", "number", `${kmh(speedAt(road, horizon))} of ${kmh(road.freeFlowKmh)} km/h`);
    rows[at].firstChild.replaceChildren(flowWord(stepAt(road, horizon)), element("span", "road-name", road.name), speed);
  });
  if (list.dataset.ids !== ids) list.replaceChildren(...rows);
  list.dataset.ids = ids;
}
