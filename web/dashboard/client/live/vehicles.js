// Connected cars and vehicles of public transport. They are known in the background; the page has their numbers for the map, and the
// words of those that somebody looks at.

import { signal, useEffect } from "../vendor/preact.mjs";
import { isStale } from "../map/fleet.js";
import { identity } from "./api.js";
import { BackgroundSocket, onVehicles, order } from "./background.js";
import { Connection, Shared } from "./connection.js";
import { noteFigure } from "./servers.js";

export { isStale };

/** `{data, count, origin, ids}` as `map/fleet.js` makes them, `ids` in the same order; `version` counts changes. */
export const fleet = { data: new Float32Array(0), count: 0, origin: null, ids: [] };
export const version = signal(0);
/** The vehicle that is looked at: undefined before it was told, null when it is not known. */
const watched = signal(undefined);
const listed = signal(null);

onVehicles(({ fleet: told, vehicle, list }) => {
  if (told) {
    const old = fleet.data.buffer;
    if (old.byteLength) order("reuse", { buffer: old }, [old]);
    Object.assign(fleet, told, { ids: told.ids ?? fleet.ids });
    if (told.newest) noteFigure(told.newest);
    version.value++;
  } else if (list) listed.value = list;
  else watched.value = vehicle;
});

/** In a component: `{id, kind, lat, lng, at, heardAt, speedKmh, direction, told}`, null when nobody knows it, undefined before it was told. */
export function useVehicle(id) {
  useEffect(() => {
    watched.value = undefined;
    order("watch", { id });
    return () => order("watch", { id: null });
  }, [id]);
  return watched.value?.id === id ? watched.value : watched.value && undefined;
}

/** In a component: all vehicles of a kind ("cars", "transit"), told every few seconds; null before, and for another kind. */
export function useVehicles(kind) {
  useEffect(() => {
    listed.value = null;
    if (!kind) return undefined;
    order("list", { kind });
    return () => order("list", { kind: null });
  }, [kind]);
  return kind ? listed.value : null;
}

function start() {
  const { token } = identity.peek();
  order("first", { kind: "cars", path: "/api/vehicles/locations?limit=10000", token });
  order("first", { kind: "transit", path: "/api/transit/vehicles", token });
  const through = (kind) => ({ silentMs: Infinity, makeSocket: (address, protocols) => new BackgroundSocket(kind, address, protocols) });
  const cars = new Connection("vehicles", () => "/ws/realtime?types=vehicles", null, through("cars"));
  const transit = new Connection("transit", () => "/ws/transit/vehicles?snapshot=true", null, through("transit"));
  return () => {
    cars.stop();
    transit.stop();
  };
}

export const vehiclesSource = new Shared(start);
