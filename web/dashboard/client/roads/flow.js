// How freely a road flows, in five steps of its speed as a share of the free-flow speed. The colours stay apart for people who see
// fewer of them, and what crawls carries a dotted line besides. Bounds and words are the same wherever a speed is shown.

export const UNKNOWN = 5;

/** Freest first; `from` is the least share of the free-flow speed. */
export const STEPS = [
  { name: "free", from: 0.85 },
  { name: "slowed", from: 0.65 },
  { name: "dense", from: 0.45 },
  { name: "jammed", from: 0.25 },
  { name: "crawling", from: 0 },
  { name: "unknown", from: NaN },
];

const FROM = Float64Array.from(STEPS, ({ from }) => from);

export function stepOf(speedKmh, freeFlowKmh) {
  if (speedKmh === null || speedKmh === undefined || !(freeFlowKmh > 0)) return UNKNOWN;
  return stepOfShare(speedKmh / freeFlowKmh);
}

/** Of a share of the free-flow speed; NaN is not known. */
export function stepOfShare(share) {
  if (Number.isNaN(share)) return UNKNOWN;
  // a plain loop: it is asked of thousands of roads at once
  let step = 0;
  while (share < FROM[step]) step++;
  return step;
}

/** Minutes ahead that are predicted; 0 is now. */
export const HORIZONS = [0, 10, 20, 30];
const PREDICTED = ["predicted_speed_10min", "predicted_speed_20min", "predicted_speed_30min"];

/** Speed of a road now (horizon 0) or in so many tens of minutes; null when it is not known. */
export function speedAt(road, horizon) {
  if (road.speedAt) return road.speedAt(horizon);
  return (horizon ? road.prediction?.[PREDICTED[horizon - 1]] : road.now?.current_speed) ?? null;
}

export const stepAt = (road, horizon) => stepOf(speedAt(road, horizon), road.freeFlowKmh);

/** For order: the greater, the worse a road flows; NaN where it is not known. */
export function slownessAt(road, horizon) {
  const speed = speedAt(road, horizon);
  if (speed === null || !(road.freeFlowKmh > 0)) return NaN;
  return !horizon && road.isClosed ? 2 : 1 - speed / road.freeFlowKmh;
}
