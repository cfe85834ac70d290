// How much earlier or later one may arrive: if every road on the way were as quick, or as slow, as its forecast's interval allows.
// That is wider than it turns out mostly, for roads are seldom all at the same end.

import { roads } from "../live/roads.js";
import { HORIZONS, speedAt } from "../roads/flow.js";
import { stepsOf } from "./directions.js";

const LEAST_KNOWN = 0.5;

/** `[low, high]` minutes of a route, null when intervals of too few roads are known. */
export function intervalOf(route, minutesAhead) {
  const byName = new Map();
  for (const road of roads.value.values()) byName.set(road.name, byName.has(road.name) ? null : road);
  let [known, all, quick, usual, slow] = [0, 0, 0, 0, 0];
  for (const { name, metres } of stepsOf(route.waypoints)) {
    all += metres;
    const road = byName.get(name);
    const at = Math.max(1, Math.min(HORIZONS.length - 1, Math.round(minutesAhead / 10) || 1));
    const [speed, low, high] = [road && speedAt(road, at), road?.prediction?.low_kmh[at - 1], road?.prediction?.high_kmh[at - 1]];
    if (!(speed > 0 && low > 0 && high > 0)) continue;
    known += metres;
    quick += metres / high;
    usual += metres / speed;
    slow += metres / low;
  }
  if (!all || known / all < LEAST_KNOWN) return null;
  return [(route.eta_minutes * quick) / usual, (route.eta_minutes * slow) / usual];
}
