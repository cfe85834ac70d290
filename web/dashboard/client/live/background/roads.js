// Speeds and forecasts of roads as columns, one place a road: thousands of rows cost the page nothing until somebody looks at one.

export const LEVELS = ["low", "medium", "high"];
export const SPEED_FROM = ["measured", "historical", "speed_limit", null];
export const HORIZON_COUNT = 3;
const PREDICTED = ["predicted_speed_10min", "predicted_speed_20min", "predicted_speed_30min"];

const unknown = (count) => new Float64Array(count).fill(NaN);

/** @param positions of roads by id. Returns the columns, and their buffers to hand over. */
export function speedColumns(rows, positions) {
  const { size } = positions;
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
  return [body, buffersOf(body)];
}

/** Likewise; texts that many roads share stand once, as `[source, note, model_version, how many roads]`. */
export function forecastColumns(rows, positions) {
  const { size } = positions;
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
  return [body, buffersOf(body)];
}

const buffersOf = (body) => Object.values(body).filter((column) => ArrayBuffer.isView(column)).map(({ buffer }) => buffer);
