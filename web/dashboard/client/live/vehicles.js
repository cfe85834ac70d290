// Connected cars and vehicles of public transport: the newest fix of each, and the one before it.

import { signal } from "../vendor/preact.mjs";
import { askAll, ask } from "./api.js";
import { Connection, Shared } from "./connection.js";
import { noteFigure } from "./servers.js";

/** A vehicle that was not heard for so long is not drawn any more, ms. */
const FORGET_MS = 180_000;
const STALE_MS = 45_000;
const GATHER_MS = 300;

/** By id, `{id, kind, lat, lng, x, y, fromX, fromY, at, movedAt, heardAt, …what was told}`; `version` counts changes. */
export const vehicles = new Map();
export const version = signal(0);

/** Web Mercator, 0..1 from the north-west; reckoned once a fix, not once a frame. */
export const mercatorX = (lng) => (180 + lng) / 360;
export const mercatorY = (lat) => (180 - (180 / Math.PI) * Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360))) / 360;

function put(id, kind, lat, lng, iso, more) {
  if (!Number.isFinite(lat) || !Number.isFinite(lng)) return;
  const at = Date.parse(iso);
  const before = vehicles.get(id);
  if (before && at < before.at) return;
  const moved = !before || before.lat !== lat || before.lng !== lng;
  const [x, y] = moved ? [mercatorX(lng), mercatorY(lat)] : [before.x, before.y];
  const [fromX, fromY] = moved ? [before?.x ?? x, before?.y ?? y] : [before.fromX, before.fromY];
  const movedAt = moved ? performance.now() : before.movedAt;
  vehicles.set(id, { id, kind, lat, lng, x, y, fromX, fromY, at, movedAt, heardAt: Date.now(), ...more });
  newest = Math.max(newest, at);
}

let newest = 0;
let waiting = null;

/** Tells of changes, gathered: thousands of vehicles come in many messages. */
function changed() {
  waiting ??= setTimeout(() => {
    waiting = null;
    noteFigure(newest);
    version.value++;
  }, GATHER_MS);
}

const isOld = (vehicle) => Date.now() - vehicle.heardAt > FORGET_MS;
export const isStale = (vehicle, now) => now - vehicle.heardAt > STALE_MS;

function takeCars(list) {
  for (const car of list) put(car.vehicle_id, "car", car.latitude, car.longitude, car.timestamp, { speedKmh: car.speed, direction: car.direction });
  changed();
}

function takeTransit(list) {
  for (const told of list) {
    const kind = told.type === "bus" || !told.type ? "bus" : "rail";
    put(told.vehicle_id, kind, told.latitude, told.longitude, told.last_updated, { told });
  }
  changed();
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
    if (gone) changed();
  }, 1000);
  return () => {
    clearInterval(sweep);
    cars.stop();
    transit.stop();
  };
}

export const vehiclesSource = new Shared(start);
