// The order of the cameras. Rows must not jump away from under a pointer or the keyboard, nor more often than eyes can follow.

import { useRef } from "../vendor/preact.mjs";
import { LEVELS } from "../components/words.js";

const EVERY_MS = 4000;

const RULES = {
  camera: () => 0,
  vehicles: (a, b) => b.row.vehicle_count - a.row.vehicle_count,
  speed: (a, b) => (a.row.avg_speed_kmh ?? Infinity) - (b.row.avg_speed_kmh ?? Infinity) || 0,
  age: (a, b) => a.end - b.end,
  level: (a, b) => LEVELS.indexOf(a.row.congestion_level) - LEVELS.indexOf(b.row.congestion_level) || (b.row.congestion_score ?? 0) - (a.row.congestion_score ?? 0),
};

/** The cameras in order; the last order stays while a list is under a pointer or has the keyboard. */
export function useOrder(cameras, order, list) {
  const last = useRef({ ids: [], order: null, at: 0 });
  const known = new Map(last.current.ids.map((id, at) => [id, at]));
  const same = last.current.order === order && cameras.length === known.size && cameras.every(({ id }) => known.has(id));
  const box = list.current;
  const busy = box && (box.matches(":hover") || box.contains(document.activeElement));
  if (same && (busy || Date.now() - last.current.at < EVERY_MS)) return [...cameras].sort((a, b) => known.get(a.id) - known.get(b.id));
  const rule = RULES[order] ?? RULES.level;
  const sorted = [...cameras].sort((a, b) => rule(a, b) || (a.id < b.id ? -1 : 1));
  last.current = { ids: sorted.map(({ id }) => id), order, at: Date.now() };
  return sorted;
}
