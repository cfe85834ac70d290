// The newest window of every camera and those before it. Rows come by WebSocket; the server repeats the current ones at least every
// five seconds, so silence means a broken connection.

import { computed, signal } from "../vendor/preact.mjs";
import { ask } from "./api.js";
import { questionFor } from "./answers.js";
import { Connection, Shared } from "./connection.js";
import { noteFigure } from "./servers.js";

export const SPARK_WINDOWS = 60;
export const SILENT_AFTER_MS = 30_000;
const GATHER_MS = 250;

/** By id: `{id, row, start, end (ms), changedAt, windows: Map(start → vehicle_count)}`; null before they were told. */
export const cameras = signal(null);
/** How many there are; undefined before they were told. */
export const cameraCount = computed(() => cameras.value?.size);
/** Registered cameras by id: `{name, road_segment, lat, lng}`. */
export const registered = signal(new Map());

const records = new Map();
let waiting = null;

function publish() {
  // many rows come at once; a page that is hidden gets no frames and must not fall behind for that
  waiting ??= setTimeout(() => {
    waiting = null;
    cameras.value = new Map(records);
  }, GATHER_MS);
}

export function takeRows(rows) {
  for (const row of rows) {
    const start = Date.parse(row.window_start);
    const end = Date.parse(row.window_end);
    const before = records.get(row.camera_id);
    const windows = before?.windows ?? new Map();
    windows.set(start, row.vehicle_count);
    if (windows.size > 2 * SPARK_WINDOWS) for (const at of windows.keys()) if (at < end - SPARK_WINDOWS * (end - start)) windows.delete(at);
    if (before && start < before.start) continue;
    const changedAt = !before ? Math.min(Date.now(), end) : start > before.start ? Date.now() : before.changedAt;
    records.set(row.camera_id, { id: row.camera_id, row, start, end, changedAt, windows, filled: before?.filled ?? false });
    noteFigure(end);
  }
  publish();
}

export const isSilent = (camera, now) => now - camera.changedAt > SILENT_AFTER_MS;

/** The last windows in order of time, `[[start ms, vehicles], …]`. */
export const pointsOf = (camera) => [...camera.windows.entries()].sort((a, b) => a[0] - b[0]);

const queue = [];
let asking = 0;
let pausedUntil = 0;

/** Asks once for the windows of a camera before this page was opened, few cameras at a time. */
export function fillWindows(id) {
  const camera = records.get(id);
  if (!camera || camera.filled) return;
  camera.filled = true;
  queue.push(id);
  fillNext();
}

function fillNext() {
  while (asking < 3 && queue.length && Date.now() >= pausedUntil) {
    const id = queue.shift();
    asking++;
    fill(id).catch(() => {
      // the history may be away for a while; the line grows with the live rows meanwhile
      pausedUntil = Date.now() + 20_000;
      queue.push(id);
      setTimeout(fillNext, 20_000);
    }).finally(() => { asking--; fillNext(); });
  }
}

async function fill(id) {
  const { start, end } = records.get(id);
  const size = end - start;
  const query = new URLSearchParams({ camera_id: id, from: (start - SPARK_WINDOWS * size) / 1000, to: start / 1000 });
  const { windows } = records.get(id);
  for (const row of await ask(`/metrics/history?${query}`)) {
    const at = Date.parse(row.window_start);
    if (!windows.has(at)) windows.set(at, row.vehicle_count);
  }
  publish();
}

function start() {
  const connection = new Connection("cameras", () => "/ws/metrics?role=viewer&changes=true", takeRows);
  const places = questionFor("/api/map/cameras", { every: 60_000 });
  places.start();
  const unwatch = places.answer.subscribe(({ body }) => {
    if (!body) return;
    registered.value = new Map(body.features.map(({ id, geometry, properties }) => [id, { ...properties, lng: geometry?.coordinates[0], lat: geometry?.coordinates[1] }]));
  });
  return () => {
    connection.stop();
    unwatch();
    places.stop();
  };
}

export const camerasSource = new Shared(start);
