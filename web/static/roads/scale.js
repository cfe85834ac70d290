// How freely a road flows, in five steps of speed to free-flow speed. The colours stay apart for people who see fewer
// of them, and what crawls carries a dotted line besides. Bounds and words are the same wherever a speed is shown.

import { element } from "../elements.js";

export const UNKNOWN = 5;

/** Freest first; `from` is the least share of the free-flow speed. */
export const STEPS = [
  { name: "free", words: "flows freely", range: "85 % of the free-flow speed and more", from: 0.85 },
  { name: "slowed", words: "slowed", range: "65 to 85 %", from: 0.65 },
  { name: "dense", words: "dense", range: "45 to 65 %", from: 0.45 },
  { name: "jammed", words: "jammed", range: "25 to 45 %", from: 0.25 },
  { name: "crawling", words: "crawling or standing", range: "less than 25 %, dotted", from: 0 },
  { name: "unknown", words: "not known", range: "no recent speed", from: NaN },
];

export const kmh = (speed) => (speed === null || speed === undefined ? "–" : speed.toFixed(speed < 9.95 ? 1 : 0));

export function stepOf(speedKmh, freeFlowKmh) {
  if (speedKmh === null || speedKmh === undefined || !(freeFlowKmh > 0)) return UNKNOWN;
  const ratio = speedKmh / freeFlowKmh;
  return STEPS.findIndex((step) => ratio >= step.from);
}

export function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    steps: STEPS.map((step) => read(`--flow-${step.name}`)),
    casing: read("--casing"),
    ground: read("--card"),
    ink: read("--ink"),
    route: read("--route"),
    other: read("--other-route"),
    focus: read("--focus"),
  };
}

export function fillLegend(list) {
  for (const step of STEPS) {
    const item = element("li");
    item.dataset.flow = step.name;
    item.append(element("i", "swatch"), element("b", "", step.words), ` ${step.range}`);
    list.append(item);
  }
}
