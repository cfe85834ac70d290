// Speeds and forecasts of roads as columns, one place a road: thousands of rows cost the page nothing until somebody looks at one. What
// is reckoned of all roads, and their order, is reckoned here as well.

import { stepOfShare, UNKNOWN } from "../../roads/flow.js";

export const LEVELS = ["low", "medium", "high"];
export const SPEED_FROM = ["measured", "historical", "speed_limit", null];
export const HORIZON_COUNT = 3;
const PREDICTED = ["predicted_speed_10min", "predicted_speed_20min", "predicted_speed_30min"];

const unknown = (count) => new Float64Array(count).fill(NaN);

/** Which roads there are: places by id, free-flow speeds by place, ranks by place in the order of ids. */
export class Roads {
  constructor(ids = [], free = new Float64Array(0)) {
    Object.assign(this, { size: ids.length, positions: new Map(ids.map((id, at) => [id, at])), free, ranks: new Uint32Array(ids.length) });
    const places = [...ids.keys()].sort((a, b) => (ids[a] < ids[b] ? -1 : 1));
    places.forEach((place, rank) => { this.ranks[place] = rank; });
  }

  /**
   * How freely they flow: `steps` as `roads/flow.js` has them; `order` of places, closed roads and those that flow worst first, unknown ones
   * last; how many are known.
   * @param speeds of all roads, `stride` values a road of which the one at `first` counts.
   */
  flow(speeds, stride, first, closed) {
    const { size, free, ranks } = this;
    const shares = new Float64Array(size);
    const steps = new Uint8Array(size);
    let known = 0;
    for (let at = 0; at < size; at++) {
      const share = speeds[at * stride + first] / free[at];
      steps[at] = stepOfShare(share);
      if (steps[at] !== UNKNOWN) known++;
      // what is closed comes before what stands, and what is not known last
      shares[at] = Number.isNaN(share) ? Infinity : closed?.[at] ? -1 : share;
    }
    const order = Uint32Array.from(shares.keys()).sort((a, b) => (shares[a] === shares[b] ? ranks[a] - ranks[b] : shares[a] - shares[b]));
    return { steps, order, known };
  }
}

/** @param roads which there are. Returns the columns, and their buffers to hand over. */
export function speedColumns(rows, roads) {
  const { positions, size } = roads;
  const body = { count: rows.length, strangers: 0, newest: null, speed: unknown(size), jam: unknown(size), updated: unknown(size), level: new Uint8Array(size), from: new Uint8Array(size), closed: new Uint8Array(size) };
  for (const row of rows) {
    const updated = Date.parse(row.last_updated);
    body.newest = Math.max(body.newest, updated);
    const at = positions.get(row.road_id);
    if (at === undefined) {
      body.strangers++;
      continue;
    }
    body.speed[at] = row.current_speed;
    body.jam[at] = row.jam_factor;
    body.updated[at] = updated;
    body.level[at] = LEVELS.indexOf(row.congestion_level);
    // what is usual is left out
    body.from[at] = SPEED_FROM.indexOf(row.speed_from === undefined ? "measured" : row.speed_from);
    body.closed[at] = row.closed ? 1 : 0;
  }
  body.flow = [roads.flow(body.speed, 1, 0, body.closed)];
  return [body, buffersOf(body)];
}

/** Likewise; texts that many roads share stand once, as `[source, note, model_version, how many roads]`. */
export function forecastColumns(rows, roads) {
  const { positions, size } = roads;
  const places = size * HORIZON_COUNT;
  const body = { count: rows.length, newest: null, predicted: unknown(places), low: unknown(places), high: unknown(places), confidence: unknown(places), told: unknown(size), by: new Uint16Array(size), texts: [] };
  const known = new Map();
  for (const row of rows) {
    const told = Date.parse(row.timestamp);
    body.newest = Math.max(body.newest, told);
    const at = positions.get(row.road_id);
    if (at === undefined) continue;
    body.told[at] = told;
    const text = [row.source, row.note, row.model_version];
    const key = text.join("\n");
    let by = known.get(key);
    if (by === undefined) {
      known.set(key, (by = body.texts.length));
      body.texts.push([...text, 0]);
    }
    body.by[at] = by;
    body.texts[by][3]++;
    for (let horizon = 0; horizon < HORIZON_COUNT; horizon++) {
      const place = at * HORIZON_COUNT + horizon;
      body.predicted[place] = row[PREDICTED[horizon]] ?? NaN;
      body.low[place] = row.low_kmh?.[horizon] ?? NaN;
      body.high[place] = row.high_kmh?.[horizon] ?? NaN;
      body.confidence[place] = row.confidences?.[horizon] ?? NaN;
    }
  }
  body.flow = Array.from({ length: HORIZON_COUNT }, (_, horizon) => roads.flow(body.predicted, HORIZON_COUNT, horizon, null));
  return [body, buffersOf(body)];
}

const buffersOf = (body) => [body, ...body.flow].flatMap((columns) => Object.values(columns)).filter((column) => ArrayBuffer.isView(column)).map(({ buffer }) => buffer);
