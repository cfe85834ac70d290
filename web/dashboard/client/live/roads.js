// What is known of the roads: the graph's edges, measured speeds, predicted speeds; kept fresh while a room shows them.

import { batch, computed, effect, signal } from "../vendor/preact.mjs";
import { Question, questionFor } from "./answers.js";
import { HORIZON_COUNT, LEVELS, SPEED_FROM } from "./background/roads.js";
import { askColumns, order } from "./background.js";
import { Shared } from "./connection.js";
import { noteFigure } from "./servers.js";

const EVERY_MS = 5000;
const FORECASTS_EVERY_MS = 10_000;
const FEED_EVERY_MS = 60_000;
const FEED_WITHIN_MS = 30_000;

/** Edges of the road graph, `{id, name, road, length_m, …, coordinates}`; null before they were told. */
export const edges = signal(null);
/**
 * Roads by id: `{id, name, edges, lengthM, freeFlowKmh, freeFlowBy, now, prediction}`, the last two as servers tell them. Another object,
 * read like a Map, whenever anything changed; its roads stay the same, and say what is known now.
 */
export const roads = signal(new Map());
/** How many there are: for who needs to know which there are, not how they flow. */
export const roadCount = computed(() => roads.value.size);
/** Answers as they are, for panels that say what is wrong: `{network, feed, speeds, forecasts}`. */
export const told = signal({});
/** How many roads of the feed the graph does not have. */
export const strangers = signal(0);

export const graphSource = computed(() => told.value.network?.body?.source ?? "");

let columns = { speeds: null, forecasts: null };
const orNull = (value) => (Number.isNaN(value) ? null : value);
const textOf = (at) => new Date(at).toISOString();

/** What all roads can say; columns are read when somebody asks. */
class Road {
  constructor(known) {
    Object.assign(this, known);
  }

  /** km/h now (0) or in so many tens of minutes; null when it is not known. */
  speedAt(horizon) {
    const { speeds, forecasts } = columns;
    const value = horizon ? forecasts?.predicted[this.place * HORIZON_COUNT + horizon - 1] : speeds?.speed[this.place];
    return value === undefined || Number.isNaN(value) ? null : value;
  }

  get isClosed() {
    return columns.speeds?.closed[this.place] === 1;
  }

  get now() {
    const { speeds } = columns;
    const { place } = this;
    if (!speeds || !(place < speeds.speed.length) || Number.isNaN(speeds.updated[place])) return null;
    return {
      current_speed: orNull(speeds.speed[place]),
      jam_factor: orNull(speeds.jam[place]),
      congestion_level: LEVELS[speeds.level[place]],
      closed: speeds.closed[place] === 1,
      speed_from: SPEED_FROM[speeds.from[place]],
      last_updated: textOf(speeds.updated[place]),
    };
  }

  get prediction() {
    const { forecasts } = columns;
    const { place } = this;
    if (!forecasts || !(place < forecasts.told.length) || Number.isNaN(forecasts.told[place])) return null;
    const three = (column) => Array.from(column.subarray(place * HORIZON_COUNT, (place + 1) * HORIZON_COUNT), orNull);
    const [source, note, model_version] = forecasts.texts[forecasts.by[place]];
    return { timestamp: textOf(forecasts.told[place]), source, note, model_version, low_kmh: three(forecasts.low), high_kmh: three(forecasts.high), confidences: three(forecasts.confidence) };
  }
}

/**
 * The roads of `base`, as they are now. It is another object for those who look whether something changed: to copy thousands each time
 * is garbage. What is reckoned of all of them is reckoned in the background.
 */
class Known {
  constructor({ roads: all, list }) {
    Object.assign(this, { all, list, columns });
  }

  /** `{steps, order, known}` of the roads of `list` at a horizon, as the background reckons them; undefined before they were told. */
  flowAt(horizon) {
    return horizon ? this.columns.forecasts?.flow[horizon - 1] : this.columns.speeds?.flow[0];
  }

  /** How many are known at a horizon. */
  knownAt(horizon) {
    return this.flowAt(horizon)?.known ?? 0;
  }

  /** The first roads at a horizon, of those that are known: which flow worst, or best. */
  first(horizon, count, isWorst = true) {
    const { order, known } = this.flowAt(horizon) ?? { order: [], known: 0 };
    const places = isWorst ? order.slice(0, Math.min(count, known)) : order.slice(Math.max(0, known - count), known).reverse();
    return Array.from(places, (place) => this.list[place]);
  }

  get size() {
    return this.all.size;
  }

  get(id) {
    return this.all.get(id);
  }

  values() {
    return this.all.values();
  }

  [Symbol.iterator]() {
    return this.all.entries();
  }
}

function fromNetwork(collection) {
  const found = collection.features.map(({ geometry, properties }) => ({ ...properties, coordinates: geometry.coordinates }));
  const known = new Map();
  for (const edge of found) {
    const road = known.get(edge.road_id) ?? new Road({ id: edge.road_id, name: edge.road_name, edges: [], lengthM: 0 });
    road.edges.push(edge);
    road.lengthM += edge.length_m;
    known.set(road.id, road);
  }
  for (const road of known.values()) {
    const hours = road.edges.reduce((sum, edge) => sum + edge.length_m / edge.free_flow_kmh, 0);
    road.freeFlowBy = "graph";
    road.freeFlowKmh = hours > 0 ? road.lengthM / hours : road.edges[0].free_flow_kmh;
  }
  return [found, known];
}

/** A road that the graph knows by other names takes its edges from those. */
function addFeedRoad(known, { road_id: id, road_name: name, edges: parts }, edgeOf) {
  const taken = parts.flatMap(([edgeId]) => edgeOf.get(edgeId) ?? []);
  if (!taken.length) return null;
  const lengthM = parts.reduce((sum, [edgeId, share]) => sum + share * (edgeOf.get(edgeId)?.length_m ?? 0), 0);
  const ids = new Set(taken.map((edge) => edge.edge_id));
  for (const road of [...known.values()]) {
    if (!road.edges.some((edge) => ids.has(edge.edge_id))) continue;
    const rest = road.edges.filter((edge) => !ids.has(edge.edge_id));
    if (rest.length) known.set(road.id, new Road({ ...road, edges: rest }));
    else known.delete(road.id);
  }
  const road = new Road({ id, name, edges: taken, lengthM });
  known.set(id, road);
  return road;
}

let base = { network: null, feed: null, edges: [], roads: new Map() };

/** Roads as the graph and the feed have them, made anew only when one of these is another answer. */
function baseOf(network, feed) {
  if (base.network === network && base.feed === feed) return base;
  const [found, known] = fromNetwork(network);
  const edgeOf = new Map(found.map((edge) => [edge.edge_id, edge]));
  for (const row of feed ?? []) {
    const road = known.get(row.road_id) ?? addFeedRoad(known, row, edgeOf);
    if (!road) continue;
    road.freeFlowKmh = row.free_flow_speed;
    road.freeFlowBy = "feed";
  }
  const list = [...known.values()];
  base = { network, feed, edges: base.network === network ? base.edges : found, roads: known, list };
  list.forEach((road, place) => { road.place = place; });
  order("roads", { ids: [...known.keys()], free: Float64Array.from(list, ({ freeFlowKmh }) => (freeFlowKmh > 0 ? freeFlowKmh : NaN)) });
  return base;
}

/** Puts together what was told; each answer is whole, so whatever is not in it is not known any more. */
function assemble({ network, feed, speeds, forecasts }) {
  const before = base;
  const made = baseOf(network, feed);
  // columns are in the order of the roads that there were when they were asked for
  const isOther = before !== base;
  columns = isOther ? { speeds: null, forecasts: null } : { speeds, forecasts };
  if (speeds) noteFigure(speeds.newest);
  batch(() => {
    edges.value = made.edges;
    roads.value = new Known(made);
    strangers.value = columns.speeds?.strangers ?? 0;
  });
  return isOther;
}

let feedRows = null;
/** The same rows as long as they say the same. */
const askFeed = async (isUrgent) => (feedRows = (await askColumns("feed", "/api/roads", { timeoutMs: FEED_WITHIN_MS, isUrgent })) ?? feedRows);

function start() {
  const questions = {
    network: questionFor("/api/roads/network", { every: Infinity, timeoutMs: 30_000 }),
    // without Postgres the free flow of the graph stands in, as the details of each road say
    feed: new Question(askFeed, FEED_EVERY_MS),
    speeds: new Question((isUrgent) => askColumns("speeds", "/traffic/current", { isUrgent }), EVERY_MS),
    forecasts: new Question((isUrgent) => askColumns("forecasts", "/api/predict/roads", { isUrgent }), FORECASTS_EVERY_MS),
  };
  for (const question of Object.values(questions)) question.start();
  const unwatch = effect(() => {
    const answers = Object.fromEntries(Object.entries(questions).map(([name, question]) => [name, question.answer.value]));
    told.value = answers;
    if (!answers.network.body) return;
    const isOther = assemble(Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, answer.body])));
    if (isOther) for (const name of ["speeds", "forecasts"]) questions[name].now();
  });
  return () => {
    unwatch();
    for (const question of Object.values(questions)) question.stop();
  };
}

export const roadsSource = new Shared(start);

/** Who predicted how many roads, as `[{source, note, count}]`, most roads first. */
export function predictors() {
  const counts = new Map();
  for (const [source, note, , count] of columns.forecasts?.texts ?? []) {
    const key = `${source}\n${note}`;
    const entry = counts.get(key) ?? { source, note, count: 0 };
    entry.count += count;
    counts.set(key, entry);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}
