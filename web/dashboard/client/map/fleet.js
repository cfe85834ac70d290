// Vehicles as numbers for the graphics card, made where vehicles are known: in the background for those of now, in the page for a
// replay. This module knows no page.

/** Of a vehicle: from x, y; to x, y; begin and length of its move (s); heading (rad, -1000: none); kind; 1 when it was not heard for a while. */
export const FLOATS = 9;
export const KINDS = ["car", "bus", "rail"];
export const LONGEST_MOVE_S = 6;
const STALE_MS = 45_000;

/** Web Mercator, 0..1 from the north-west; reckoned once a fix, not once a frame. */
export const mercatorX = (lng) => (180 + lng) / 360;
export const mercatorY = (lat) => (180 - (180 / Math.PI) * Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360))) / 360;

export const isStale = (vehicle, now) => now - vehicle.heardAt > STALE_MS;

/**
 * @param vehicles by id, `{kind, x, y, fromX, fromY, movedAt, takesS, direction, heardAt}`, times in ms.
 * @param origin `[x, y]` near them, since whole mercator coordinates are too coarse for 32 bits; null: the first vehicle.
 * @param reused a buffer that nobody needs any more.
 * @returns `{data, count, origin}`.
 */
export function numbersOf(vehicles, origin, now, reused) {
  const needed = vehicles.size * FLOATS;
  const data = reused && reused.length >= needed ? reused : new Float32Array(Math.ceil(needed * 1.2));
  let at = 0;
  for (const vehicle of vehicles.values()) {
    origin ??= [vehicle.x, vehicle.y];
    data[at] = vehicle.fromX - origin[0];
    data[at + 1] = vehicle.fromY - origin[1];
    data[at + 2] = vehicle.x - origin[0];
    data[at + 3] = vehicle.y - origin[1];
    data[at + 4] = vehicle.movedAt / 1000;
    data[at + 5] = vehicle.takesS ?? LONGEST_MOVE_S;
    data[at + 6] = Number.isFinite(vehicle.direction) ? (vehicle.direction * Math.PI) / 180 : -1000;
    data[at + 7] = KINDS.indexOf(vehicle.kind);
    data[at + 8] = isStale(vehicle, now) ? 1 : 0;
    at += FLOATS;
  }
  return { data, count: vehicles.size, origin };
}
