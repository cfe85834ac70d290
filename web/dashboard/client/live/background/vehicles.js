// Connected cars and vehicles of public transport: the newest fix of each, and the one before it.

import { mercatorX, mercatorY, numbersOf } from "../../map/fleet.js";

/** A vehicle that was not heard for so long is not drawn any more, ms. */
const FORGET_MS = 180_000;
/** Without news the page is told all the same, so that what is not heard looks so. */
const TELL_AT_LEAST_EVERY_MS = 10_000;
/** A list of all is much to hand over. */
const LIST_EVERY_MS = 4000;

export class Vehicles {
  /** @param sinceMs by how much this clock began later than the page's; `tellPage(message, buffers, isUrgent)` tells it. */
  constructor(sinceMs, tellPage) {
    Object.assign(this, { sinceMs, tellPage, known: new Map(), origin: null, changed: false, others: true, newest: 0, toldAt: -Infinity, listedAt: -Infinity, watched: null, listed: null, reused: null });
  }

  hear(kind, told) {
    if (kind === "cars") {
      if (told.type && told.type !== "vehicles") return;
      for (const car of listOf(told.data ?? told)) this.put(car.vehicle_id, "car", car.latitude, car.longitude, car.timestamp, car.speed, car.direction, null);
    } else {
      for (const one of listOf(told)) this.put(one.vehicle_id, one.type === "bus" || !one.type ? "bus" : "rail", one.latitude, one.longitude, one.last_updated, undefined, undefined, one);
    }
  }

  put(id, kind, lat, lng, iso, speedKmh, direction, told) {
    if (!Number.isFinite(lat) || !Number.isFinite(lng)) return;
    const at = Date.parse(iso);
    const before = this.known.get(id);
    if (before && at < before.at) return;
    this.changed = true;
    this.newest = Math.max(this.newest, at);
    const heardAt = Date.now();
    if (!before) {
      const [x, y] = [mercatorX(lng), mercatorY(lat)];
      this.known.set(id, { id, kind, lat, lng, x, y, fromX: x, fromY: y, at, movedAt: this.now(), heardAt, speedKmh, direction, told });
      this.others = true;
      return;
    }
    if (before.lat !== lat || before.lng !== lng) {
      Object.assign(before, { fromX: before.x, fromY: before.y, x: mercatorX(lng), y: mercatorY(lat), movedAt: this.now() });
    }
    Object.assign(before, { kind, lat, lng, at, heardAt, speedKmh, direction, told });
  }

  /** As the page's clock has it. */
  now() {
    return performance.now() + this.sinceMs;
  }

  watch(id) {
    this.watched = id;
    this.tellOne(true);
  }

  list(kind) {
    Object.assign(this, { listed: kind, listedAt: -Infinity });
    this.tellList(true);
  }

  /** Tells the page what has changed since it was told last. */
  tell() {
    const now = Date.now();
    for (const [id, vehicle] of this.known) if (now - vehicle.heardAt > FORGET_MS) this.changed = this.others = this.known.delete(id);
    if (!this.changed && now - this.toldAt < TELL_AT_LEAST_EVERY_MS) return;
    const { data, count, origin } = numbersOf(this.known, this.origin, now, this.reused);
    const ids = this.others ? [...this.known.keys()] : null;
    Object.assign(this, { origin, changed: false, others: false, reused: null, toldAt: now });
    this.tellPage({ fleet: { data, count, origin, ids, newest: this.newest } }, [data.buffer]);
    this.tellOne();
    this.tellList();
  }

  tellOne(isUrgent) {
    if (this.watched) this.tellPage({ vehicle: this.known.get(this.watched) ?? null }, [], isUrgent);
  }

  tellList(isUrgent) {
    if (!this.listed || Date.now() - this.listedAt < LIST_EVERY_MS) return;
    this.listedAt = Date.now();
    this.tellPage({ list: [...this.known.values()].filter(({ kind }) => (kind === "car") === (this.listed === "cars")) }, [], isUrgent);
  }
}

const listOf = (told) => (Array.isArray(told) ? told : [told]);
