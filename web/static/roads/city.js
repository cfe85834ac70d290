// What is known of the roads: the graph's edges, measured speeds, predicted speeds.

export const HORIZONS = [0, 10, 20, 30];
const PREDICTED = ["predicted_speed_10min", "predicted_speed_20min", "predicted_speed_30min"];

export class City {
  constructor() {
    this.roads = new Map();
    this.edges = [];
    this.measured = 0;
    this.strangers = 0;
    this.predicted = 0;
  }

  setNetwork(edges) {
    this.edges = edges;
    this.roads.clear();
    for (const edge of edges) {
      const id = edge.road_id;
      const road = this.roads.get(id) ?? { id, name: edge.road_name, edges: [], lengthM: 0, now: null, prediction: null };
      road.edges.push(edge);
      road.lengthM += edge.length_m;
      edge.road = road;
      this.roads.set(id, road);
    }
    for (const road of this.roads.values()) {
      const hours = road.edges.reduce((sum, edge) => sum + edge.length_m / edge.free_flow_kmh, 0);
      road.freeFlowBy = "the road graph";
      road.freeFlowKmh = hours > 0 ? road.lengthM / hours : road.edges[0].free_flow_kmh;
    }
  }

  /** What the feed says of its roads: how they flow when they are empty, and which edges they are on. */
  setFeed(rows) {
    const edgeOf = new Map(this.edges.map((edge) => [edge.edge_id, edge]));
    for (const row of rows) {
      const road = this.roads.get(row.road_id) ?? this.addFeedRoad(row, edgeOf);
      if (!road) continue;
      road.freeFlowKmh = row.free_flow_speed;
      road.freeFlowBy = "the feed";
    }
  }

  /** A road that the graph knows by other names takes its edges from those. */
  addFeedRoad({ road_id: id, road_name: name, edges: parts }, edgeOf) {
    const edges = parts.flatMap(([edgeId]) => edgeOf.get(edgeId) ?? []);
    if (!edges.length) return null;
    const lengthM = parts.reduce((sum, [edgeId, share]) => sum + share * (edgeOf.get(edgeId)?.length_m ?? 0), 0);
    const road = { id, name, edges, lengthM, now: null, prediction: null };
    for (const edge of edges) {
      const before = edge.road;
      edge.road = road;
      if (before.edges.every((other) => other.road !== before)) this.roads.delete(before.id);
    }
    this.roads.set(id, road);
    return road;
  }

  /** Takes in all rows; a road without one has none any more. */
  setMeasured(rows) {
    this.measured = this.take(rows, "now");
    this.strangers = this.roads.size ? rows.length - this.measured : 0;
  }

  setPredicted(rows) { this.predicted = this.take(rows, "prediction"); }

  take(rows, what) {
    for (const road of this.roads.values()) road[what] = null;
    let known = 0;
    for (const row of rows) {
      const road = this.roads.get(row.road_id);
      if (!road) continue;
      road[what] = row;
      known++;
    }
    return known;
  }

  /** Newest time in a field of what is known, null when nothing is. */
  newest(what, field) {
    let newest = null;
    for (const road of this.roads.values()) if (road[what]) newest = Math.max(newest, Date.parse(road[what][field]));
    return newest;
  }

  /** Who predicted how many roads, as [{model, note, count}], most roads first. */
  predictors() {
    const counts = new Map();
    for (const { prediction } of this.roads.values()) {
      if (!prediction) continue;
      const key = `${prediction.source}\n${prediction.note}`;
      const entry = counts.get(key) ?? { ...prediction, count: 0 };
      entry.count++;
      counts.set(key, entry);
    }
    return [...counts.values()].sort((a, b) => b.count - a.count);
  }
}

/** Speed of a road now (horizon 0) or in so many tens of minutes; null when it is not known. */
export function speedAt(road, horizon) {
  return (horizon ? road.prediction?.[PREDICTED[horizon - 1]] : road.now?.current_speed) ?? null;
}

export function whoPredicts(source) {
  return { model: "the forecast model", last_value: "the last measured speed, carried on (baseline)", time_of_day: "the usual speed at this time of day (baseline)", closed: "the closure of the road" }[source] ?? source;
}
