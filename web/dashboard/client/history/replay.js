// The past, played back: stretches of it are fetched ahead, and what happened in them is put onto the map as its time comes.

import { batch, signal } from "../vendor/preact.mjs";
import { ask } from "../live/api.js";
import { camerasSource } from "../live/cameras.js";
import { roads as liveRoads, roadsSource } from "../live/roads.js";
import { mercatorX, mercatorY, numbersOf } from "../map/fleet.js";

export const RATES = [1, 2, 5, 10, 30, 60];
const TICK_MS = 250;
/** The map is told no more often; between two times vehicles are drawn on their way. */
const PUBLISH_MS = 1000;
/** Wall-clock time that is fetched ahead. */
const AHEAD_MS = 12_000;
const [LEAST_S, MOST_S] = [15, 600];
/** A vehicle that was not heard for so long of the replayed time is not drawn any more. */
const FORGET_MS = 180_000;
/** The newest of a stretch may still come; nearer to now there is nothing to replay. */
const BEHIND_NOW_MS = 20_000;
const PARTS = ["roads", "cameras", "vehicles"];

export class Replay {
  constructor() {
    this.at = signal(null);
    this.playing = signal(false);
    this.rate = signal(1);
    this.problem = signal(null);
    this.waiting = signal(false);
    this.ended = signal(false);
    this.isSimulated = signal(false);
    this.alerts = signal([]);
    this.incidents = signal([]);
    this.cut = signal([]);
    this.chunks = [];
    this.turn = 0;
    this.spanS = 60;
    this.changed = {};
    this.publishedAt = -Infinity;
    /** As the map takes it. */
    const vehicles = new Map();
    let fleet = { data: new Float32Array(0), count: 0, origin: null, ids: [] };
    let version = null;
    const numbers = () => {
      if (version !== this.source.version.peek()) fleet = { ...numbersOf(vehicles, fleet.origin, 0), ids: [...vehicles.keys()] };
      version = this.source.version.peek();
      return fleet;
    };
    this.source = { roads: signal(new Map()), cameras: signal(null), vehicles, fleet: numbers, version: signal(0), now: this.at, start: () => [roadsSource.use(), camerasSource.use()] };
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  stop() {
    this.turn++;
    clearInterval(this.timer);
    clearTimeout(this.retry);
  }

  /** Goes to a time: all is asked anew, led by how it was then. */
  seek(at) {
    this.turn++;
    clearTimeout(this.retry);
    this.chunks = [];
    this.changed = {};
    this.publishedAt = -Infinity;
    this.known = { roads: new Map(), cameras: new Map() };
    this.fetching = false;
    this.source.vehicles.clear();
    const limit = Date.now() - BEHIND_NOW_MS;
    batch(() => {
      this.at.value = Math.min(at, limit);
      this.ended.value = false;
      this.problem.value = null;
      this.source.roads.value = new Map();
      this.source.cameras.value = new Map();
      this.alerts.value = [];
      this.incidents.value = [];
      this.source.version.value++;
    });
    this.fetch(this.at.peek(), true);
  }

  get fetchedUntil() {
    return this.chunks.at(-1)?.to ?? this.at.peek();
  }

  async fetch(from, withState) {
    const limit = Date.now() - BEHIND_NOW_MS;
    const to = Math.min(limit, from + this.spanS * 1000);
    if (this.fetching || to - from < 1000) return;
    this.fetching = true;
    this.waiting.value = withState;
    const { turn } = this;
    try {
      const told = await ask(`/api/replay?${new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), state: withState })}`, { timeoutMs: 30_000 });
      if (turn !== this.turn) return;
      const most = Math.max(...PARTS.map((part) => told[part].length));
      if (told.cut.length && this.spanS > LEAST_S) {
        // more than an answer holds: a shorter stretch has all
        this.spanS = Math.max(LEAST_S, this.spanS / 3);
        this.fetching = false;
        this.fetch(from, withState);
        return;
      }
      if (most < 12_000) this.spanS = Math.min(MOST_S, this.spanS * 2);
      this.chunks.push({ from, to, told, next: Object.fromEntries(PARTS.map((part) => [part, 0])) });
      batch(() => {
        this.cut.value = told.cut;
        this.problem.value = null;
        this.waiting.value = false;
        this.isSimulated.value = told.simulated;
      });
      this.fetching = false;
      this.show();
    } catch (problem) {
      if (turn !== this.turn) return;
      this.fetching = false;
      batch(() => { this.problem.value = problem.message; this.waiting.value = false; });
      this.retry = setTimeout(() => this.fetch(from, withState), 5000);
    }
  }

  tick() {
    const at = this.at.peek();
    if (at === null) return;
    const reached = this.fetchedUntil;
    if (this.playing.peek() && this.chunks.length) {
      const next = Math.min(reached, at + TICK_MS * this.rate.peek());
      const limit = Date.now() - BEHIND_NOW_MS;
      if (next >= limit - 1000 && reached >= limit - 2000) batch(() => { this.playing.value = false; this.ended.value = true; });
      if (next > at) {
        this.at.value = next;
        this.show();
      }
      this.waiting.value = next <= at && !this.ended.peek();
    }
    if (this.chunks.length && !this.problem.peek() && reached - at < AHEAD_MS * this.rate.peek()) this.fetch(reached, false);
  }

  /** Puts what happened until now (of the replay) into what the map shows. */
  show() {
    const at = this.at.peek();
    let [roadsChanged, camerasChanged, vehiclesMoved] = [false, false, false];
    for (const chunk of this.chunks) {
      if (chunk.from > at) break;
      const until = (at - chunk.from) / 1000;
      this.take(chunk, "roads", until, (row) => { this.takeRoad(chunk, row); roadsChanged = true; });
      this.take(chunk, "cameras", until, (row) => { this.takeCamera(chunk, row); camerasChanged = true; });
      this.take(chunk, "vehicles", until, (row) => { this.takeVehicle(chunk, row); vehiclesMoved = true; });
    }
    while (this.chunks.length > 1 && this.chunks[1].from <= at) this.chunks.shift();
    const chunk = this.chunks[0];
    for (const [id, vehicle] of this.source.vehicles) if (at - vehicle.at > FORGET_MS) vehiclesMoved = this.source.vehicles.delete(id);
    this.changed.roads ||= roadsChanged || this.source.roads.peek().size === 0;
    this.changed.cameras ||= camerasChanged;
    this.changed.vehicles ||= vehiclesMoved;
    this.publish(chunk, at);
  }

  publish(chunk, at) {
    const moment = performance.now();
    if (this.playing.peek() && moment - this.publishedAt < PUBLISH_MS) return;
    this.publishedAt = moment;
    const { changed, source } = this;
    this.changed = {};
    batch(() => {
      if (changed.roads) source.roads.value = this.roadsNow();
      if (changed.cameras) source.cameras.value = new Map(this.known.cameras);
      if (changed.vehicles) source.version.value++;
      if (!chunk) return;
      const seconds = (at - chunk.from) / 1000;
      for (const name of ["alerts", "incidents"]) {
        const now = chunk.told[name].filter(({ from_at: from, to_at: to }) => from <= seconds && (to === null || to > seconds));
        const before = this[name].peek();
        if (now.length === before.length && now.every((one, position) => one === before[position].told)) continue;
        this[name].value = now.map((told) => ({ ...told, told, at: chunk.from + told.from_at * 1000 }));
      }
    });
  }

  take(chunk, part, until, put) {
    const rows = chunk.told[part];
    while (chunk.next[part] < rows.length && rows[chunk.next[part]][0] <= until) put(rows[chunk.next[part]++]);
  }

  takeRoad(chunk, [seconds, id, speed, jam, level, closed, from]) {
    this.known.roads.set(id, { current_speed: speed, jam_factor: jam, congestion_level: level, closed, speed_from: from, last_updated: new Date(chunk.from + seconds * 1000).toISOString() });
  }

  /** The graph's roads with what was measured then. */
  roadsNow() {
    const found = new Map();
    for (const [id, road] of liveRoads.peek()) found.set(id, { ...road, now: this.known.roads.get(id) ?? null, prediction: null });
    return found;
  }

  takeCamera(chunk, [seconds, id, vehicles, speed, queue, level, score]) {
    const end = chunk.from + seconds * 1000;
    this.known.cameras.set(id, { id, end, changedAt: end, row: { camera_id: id, vehicle_count: vehicles, avg_speed_kmh: speed, queue_length: queue, congestion_level: level, congestion_score: score } });
  }

  takeVehicle(chunk, [seconds, id, told, lat, lng]) {
    const at = chunk.from + seconds * 1000;
    const before = this.source.vehicles.get(id);
    if (before && at < before.at) return;
    const kind = told === "car" ? "car" : told === "bus" ? "bus" : "rail";
    // it drives on for as long as it took to come here, as fast as the replay runs
    const takesS = before ? Math.min(6, Math.max(0.2, (at - before.at) / 1000 / this.rate.peek())) : 0.2;
    const [x, y] = [mercatorX(lng), mercatorY(lat)];
    this.source.vehicles.set(id, { id, kind, lat, lng, x, y, at, takesS, fromX: before?.x ?? x, fromY: before?.y ?? y, movedAt: performance.now(), heardAt: Infinity });
  }
}
