// What is known of the roads: the graph's edges, measured speeds, predicted speeds; kept fresh while a room shows them.

import { batch, computed, effect, signal } from "../vendor/preact.mjs";
import { questionFor } from "./answers.js";
import { Shared } from "./connection.js";
import { noteFigure } from "./servers.js";

const EVERY_MS = 5000;
const FORECASTS_EVERY_MS = 10_000;
const FEED_EVERY_MS = 60_000;

/** Edges of the road graph, `{id, name, road, length_m, …, coordinates}`; null before they were told. */
export const edges = signal(null);
/** Roads by id: `{id, name, edges, lengthM, freeFlowKmh, freeFlowBy, now, prediction}`. A new Map whenever anything changed. */
export const roads = signal(new Map());
/** Answers as they are, for panels that say what is wrong: `{network, feed, speeds, forecasts}`. */
export const told = signal({});
/** How many roads of the feed the graph does not have. */
export const strangers = signal(0);

export const graphSource = computed(() => told.value.network?.body?.source ?? "");

function fromNetwork(collection) {
  const found = collection.features.map(({ geometry, properties }) => ({ ...properties, coordinates: geometry.coordinates }));
  const known = new Map();
  for (const edge of found) {
    const road = known.get(edge.road_id) ?? { id: edge.road_id, name: edge.road_name, edges: [], lengthM: 0, now: null, prediction: null };
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
    if (rest.length) known.set(road.id, { ...road, edges: rest });
    else known.delete(road.id);
  }
  const road = { id, name, edges: taken, lengthM, now: null, prediction: null };
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
  base = { network, feed, edges: base.network === network ? base.edges : found, roads: known };
  return base;
}

/** Puts together what was told; each answer is whole, so whatever is not in it is not known any more. */
function assemble({ network, feed, speeds, forecasts }) {
  const { edges: found, roads: known } = baseOf(network, feed);
  const measured = new Map((speeds ?? []).map((row) => [row.road_id, row]));
  const predicted = new Map((forecasts ?? []).map((row) => [row.road_id, row]));
  const next = new Map();
  for (const [id, road] of known) next.set(id, { ...road, now: measured.get(id) ?? null, prediction: predicted.get(id) ?? null });
  let unknown = 0;
  for (const row of speeds ?? []) {
    if (!known.has(row.road_id)) unknown++;
    noteFigure(Date.parse(row.last_updated));
  }
  batch(() => {
    edges.value = found;
    roads.value = next;
    strangers.value = unknown;
  });
}

function start() {
  const questions = {
    network: questionFor("/api/roads/network", { every: Infinity, timeoutMs: 30_000 }),
    // without Postgres the free flow of the graph stands in, as the details of each road say
    feed: questionFor("/api/roads", { every: FEED_EVERY_MS, all: true }),
    speeds: questionFor("/traffic/current", { every: EVERY_MS, all: true }),
    forecasts: questionFor("/api/predict/roads", { every: FORECASTS_EVERY_MS, all: true }),
  };
  for (const question of Object.values(questions)) question.start();
  const unwatch = effect(() => {
    const answers = Object.fromEntries(Object.entries(questions).map(([name, question]) => [name, question.answer.value]));
    told.value = answers;
    if (answers.network.body) assemble(Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, answer.body])));
  });
  return () => {
    unwatch();
    for (const question of Object.values(questions)) question.stop();
  };
}

export const roadsSource = new Shared(start);

/** Newest time (ms) in a field of what is known of all roads, null when nothing is. */
export function newest(what, field) {
  let found = null;
  for (const road of roads.value.values()) if (road[what]) found = Math.max(found, Date.parse(road[what][field]));
  return found;
}

/** Who predicted how many roads, as `[{source, note, count}]`, most roads first. */
export function predictors() {
  const counts = new Map();
  for (const { prediction } of roads.value.values()) {
    if (!prediction) continue;
    const key = `${prediction.source}\n${prediction.note}`;
    const entry = counts.get(key) ?? { source: prediction.source, note: prediction.note, count: 0 };
    entry.count++;
    counts.set(key, entry);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}
