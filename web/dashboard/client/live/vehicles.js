// Connected cars and vehicles of public transport: the newest fix of each, and the one before it.

import { signal } from "../vendor/preact.mjs";
import { askAll, ask } from "./api.js";
import { Connection, Shared } from "./connection.js";
import { noteFigure } from "./servers.js";

/** A vehicle that was not heard for so long is not drawn any more, ms. */
const FORGET_MS = 180_000;
const STALE_MS = 45_000;

/** By id, `{id, kind, lng, lat, fromLng, fromLat, movedAt, at, stale, …what was told}`; `version` counts changes. */
export const vehicles = new Map();
export const version = signal(0);

function put(id, kind, lat, lng, iso, more) {
  if (!Number.isFinite(lat) || !Number.isFinite(lng)) return;
  const at = Date.parse(iso);
  const before = vehicles.get(id);
  if (before && at < before.at) return;
  const moved = !before || before.lat !== lat || before.lng !== lng;
  vehicles.set(id, {
    id, kind, lat, lng, at,
    fromLat: moved ? before?.lat ?? lat : before.fromLat,
    fromLng: moved ? before?.lng ?? lng : before.fromLng,
    movedAt: moved ? performance.now() : before.movedAt,
    heardAt: Date.now(),
    ...more,
  });
  noteFigure(at);
}

const isOld = (vehicle) => Date.now() - vehicle.heardAt > FORGET_MS;
export const isStale = (vehicle, now) => now - vehicle.heardAt > STALE_MS;

function takeCars(list) {
  for (const car of list) put(car.vehicle_id, "car", car.latitude, car.longitude, car.timestamp, { speedKmh: car.speed, direction: car.direction });
  version.value++;
}

function takeTransit(list) {
  for (const told of list) {
    const kind = told.type === "bus" || !told.type ? "bus" : "rail";
    put(told.vehicle_id, kind, told.latitude, told.longitude, told.last_updated, { told });
  }
  version.value++;
}

async function askFirst(path, take, every = askAll) {
  try {
    take(await every(path));
  } catch {
    // the socket tells them one by one
  }
}

function start() {
  askFirst("/api/vehicles/locations?limit=10000", takeCars, ask);
  askFirst("/api/transit/vehicles", takeTransit);
  const cars = new Connection("vehicles", () => "/ws/realtime?types=vehicles", ({ type, data }) => { if (type === "vehicles") takeCars(Array.isArray(data) ? data : [data]); }, { silentMs: Infinity });
  const gathered = [];
  const transit = new Connection("transit", () => "/ws/transit/vehicles?snapshot=true", (told) => gathered.push(...(Array.isArray(told) ? told : [told])), { silentMs: Infinity });
  const sweep = setInterval(() => {
    if (gathered.length) takeTransit(gathered.splice(0));
    let gone = false;
    for (const [id, vehicle] of vehicles) if (isOld(vehicle)) gone = vehicles.delete(id);
    if (gone) version.value++;
  }, 1000);
  return () => {
    clearInterval(sweep);
    cars.stop();
    transit.stop();
  };
}

export const vehiclesSource = new Shared(start);
