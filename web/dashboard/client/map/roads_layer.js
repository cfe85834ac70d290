// Roads, coloured by how freely they flow. Colours are states of features: a new speed repaints, and makes nothing anew.

import { colourOf } from "../components/colours.js";
import { STEPS, UNKNOWN, stepAt } from "../roads/flow.js";

const CRAWLING = STEPS.findIndex((step) => step.name === "crawling");
const SOURCE = "roads";

const widthAt = (zoom, least, perLane) => [zoom, ["+", least, ["*", perLane, ["min", ["get", "lanes"], 4]]]];
const width = (more = 0) => ["interpolate", ["exponential", 1.6], ["zoom"], ...widthAt(11, 0.8 + more / 2, 0.25), ...widthAt(14, 1.8 + more, 0.7), ...widthAt(18, 7 + more * 1.5, 3)];
// to the right of the driving direction, so that both directions are seen
const offset = ["interpolate", ["exponential", 1.6], ["zoom"], 12, 0.3, 14, 1.9, 18, 9];
const step = ["coalesce", ["feature-state", "step"], UNKNOWN];
const when = (wanted, yes, no) => ["case", ["==", step, wanted], yes, no];

function paint() {
  const colours = STEPS.flatMap(({ name }, at) => (at === STEPS.length - 1 ? [] : [at, colourOf(`--flow-${name}`)]));
  const ground = colourOf("--casing");
  return {
    "roads-marked": { "line-color": colourOf("--ink"), "line-width": width(8), "line-offset": offset, "line-opacity": ["case", ["boolean", ["feature-state", "marked"], false], 1, 0] },
    "roads-casing": { "line-color": ground, "line-width": width(2), "line-offset": offset },
    "roads-fill": { "line-color": ["match", step, ...colours, colourOf("--flow-unknown")], "line-width": width(), "line-offset": offset },
    "roads-crawling": { "line-color": ground, "line-width": width(-1.6), "line-offset": offset, "line-dasharray": [0.4, 1.8], "line-opacity": when(CRAWLING, 0.9, 0) },
    "roads-unknown": { "line-color": ground, "line-width": width(1), "line-offset": offset, "line-dasharray": [1.4, 1.8], "line-opacity": when(UNKNOWN, 1, 0) },
  };
}

export class RoadsLayer {
  constructor(map) {
    Object.assign(this, { map, edges: [], steps: new Uint8Array(0), marked: new Set() });
    map.addSource(SOURCE, { type: "geojson", data: { type: "FeatureCollection", features: [] }, tolerance: 0.2 });
    for (const [id, painted] of Object.entries(paint())) {
      map.addLayer({ id, type: "line", source: SOURCE, layout: { "line-cap": /crawling|unknown/.test(id) ? "butt" : "round", "line-join": "round" }, paint: painted });
    }
  }

  setEdges(edges) {
    if (this.edges === edges) return;
    this.edges = edges;
    this.steps = new Uint8Array(edges.length).fill(UNKNOWN);
    this.positions = new Map(edges.map((edge, at) => [edge.edge_id, at]));
    // ids that are texts of digits would come back as numbers: positions are numbers from the begin
    const features = edges.map(({ coordinates, lanes }, id) => ({ type: "Feature", id, geometry: { type: "LineString", coordinates }, properties: { lanes: lanes || 1 } }));
    this.map.getSource(SOURCE).setData({ type: "FeatureCollection", features });
  }

  /** Paints what roads are like at a horizon; only what is not as before. */
  setRoads(roads, horizon) {
    const next = new Uint8Array(this.edges.length).fill(UNKNOWN);
    for (const road of roads.values()) {
      const found = stepAt(road, horizon);
      for (const edge of road.edges) {
        const at = this.positions.get(edge.edge_id);
        if (at !== undefined) next[at] = found;
      }
    }
    for (let id = 0; id < next.length; id++) if (next[id] !== this.steps[id]) this.map.setFeatureState({ source: SOURCE, id }, { step: next[id] });
    this.steps = next;
  }

  /** Draws attention to the edges of a road; to none without one. */
  mark(road) {
    const wanted = new Set((road?.edges ?? []).map((edge) => this.positions.get(edge.edge_id)).filter((at) => at !== undefined));
    for (const id of this.marked) if (!wanted.has(id)) this.map.setFeatureState({ source: SOURCE, id }, { marked: false });
    for (const id of wanted) if (!this.marked.has(id)) this.map.setFeatureState({ source: SOURCE, id }, { marked: true });
    this.marked = wanted;
  }

  recolour() {
    for (const [layer, painted] of Object.entries(paint())) for (const [name, value] of Object.entries(painted)) this.map.setPaintProperty(layer, name, value);
  }

  show(visible) {
    for (const id of Object.keys(paint())) this.map.setLayoutProperty(id, "visibility", visible ? "visible" : "none");
  }

  /** The edge at a point of the screen, null where there is none. */
  at({ x, y }, reach = 7) {
    const box = [[x - reach, y - reach], [x + reach, y + reach]];
    const [found] = this.map.queryRenderedFeatures(box, { layers: ["roads-fill"] });
    return found ? this.edges[found.id] : null;
  }
}
