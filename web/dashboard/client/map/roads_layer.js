// Roads, coloured by how freely they flow: one layer of our own. What the lines are is written once for the graphics card; a new speed
// writes one byte a piece of line.

import { channelsOf } from "../components/colours.js";
import { STEPS, UNKNOWN, stepAt } from "../roads/flow.js";
import { mercatorX, mercatorY } from "./fleet.js";
import { link, originMatrix, WORLD_PX } from "./graphics.js";
import { FRAGMENT, VERTEX } from "./roads_shaders.js";

const CRAWLING = STEPS.findIndex((step) => step.name === "crawling");
/** Of a piece of line: its ends, the way from the begin of its edge in mercator units, lanes. */
const FLOATS = 6;
const MOST_LANES = 4;
/** Drawn one over the other: around what is looked at, around all, and the roads themselves. Pixels wider than the last. */
const [MARKED, CASING, FILL] = [0, 1, 2];
const WIDER = [8, 2, 0];

/** As MapLibre's `["interpolate", ["exponential", 1.6], ["zoom"], …]`. */
function between(zoom, stops) {
  const base = 1.6;
  if (zoom <= stops[0][0]) return stops[0][1];
  for (let at = 1; at < stops.length; at++) {
    const [[from, low], [to, high]] = [stops[at - 1], stops[at]];
    if (zoom < to) return low + ((high - low) * (base ** (zoom - from) - 1)) / (base ** (to - from) - 1);
  }
  return stops.at(-1)[1];
}

const widthAt = (zoom, lanes, more = 0) => between(zoom, [[11, 0.8 + more / 2 + 0.25 * lanes], [14, 1.8 + more + 0.7 * lanes], [18, 7 + more * 1.5 + 3 * lanes]]);
// to the right of the driving direction, so that both directions are seen
const offsetAt = (zoom) => between(zoom, [[12, 0.3], [14, 1.9], [18, 9]]);

export class RoadsLayer {
  id = "roads";
  type = "custom";
  renderingMode = "2d";

  constructor(map) {
    Object.assign(this, { map, edges: [], steps: new Uint8Array(0), spare: new Uint8Array(0), places: new WeakMap(), positions: new Map(), marked: new Set(), visible: true, pieces: 0, origin: [0, 0], lines: new Float32Array(0), edgeOf: new Uint32Array(0), states: new Uint8Array(0), isNew: false, isOther: false });
    map.addLayer(this);
    this.recolour();
  }

  onAdd(map, gl) {
    this.program = link(gl, VERTEX, FRAGMENT);
    const names = ["matrix", "screen", "scale", "offset", "widths", "part", "colours", "ground", "ink", "crawling", "unknown"];
    this.uniforms = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(this.program, `u_${name}`)]));
    this.array = gl.createVertexArray();
    this.buffers = { lines: gl.createBuffer(), states: gl.createBuffer() };
    gl.bindVertexArray(this.array);
    const take = (name, size, type, stride, offset) => {
      const at = gl.getAttribLocation(this.program, `a_${name}`);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, size, type, false, stride, offset);
      gl.vertexAttribDivisor(at, 1);
    };
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.lines);
    take("ends", 4, gl.FLOAT, FLOATS * 4, 0);
    take("begin", 1, gl.FLOAT, FLOATS * 4, 16);
    take("lanes", 1, gl.FLOAT, FLOATS * 4, 20);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.states);
    take("state", 2, gl.UNSIGNED_BYTE, 2, 0);
    gl.bindVertexArray(null);
  }

  setEdges(edges) {
    if (this.edges === edges) return;
    this.edges = edges;
    this.steps = new Uint8Array(edges.length).fill(UNKNOWN);
    this.spare = new Uint8Array(edges.length);
    this.places = new WeakMap();
    this.roadsOf = null;
    this.positions = new Map(edges.map((edge, at) => [edge.edge_id, at]));
    this.pieces = edges.reduce((sum, { coordinates }) => sum + coordinates.length - 1, 0);
    this.lines = new Float32Array(this.pieces * FLOATS);
    this.edgeOf = new Uint32Array(this.pieces);
    this.states = new Uint8Array(this.pieces * 2);
    if (edges.length) this.origin = [mercatorX(edges[0].coordinates[0][0]), mercatorY(edges[0].coordinates[0][1])];
    let piece = 0;
    edges.forEach(({ coordinates, lanes }, at) => {
      let before = null;
      let way = 0;
      for (const [lng, lat] of coordinates) {
        const place = [mercatorX(lng) - this.origin[0], mercatorY(lat) - this.origin[1]];
        if (before) {
          this.lines.set([...before, ...place, way, Math.min(lanes || 1, MOST_LANES)], piece * FLOATS);
          way += Math.hypot(place[0] - before[0], place[1] - before[1]);
          this.edgeOf[piece++] = at;
        }
        before = place;
      }
    });
    this.isNew = true;
    this.write();
  }

  /** Puts the states of edges to their pieces. */
  write() {
    const { states, edgeOf, steps, marked } = this;
    for (let piece = 0; piece < this.pieces; piece++) states[2 * piece] = steps[edgeOf[piece]];
    if (marked.size || this.hasMarked) for (let piece = 0; piece < this.pieces; piece++) states[2 * piece + 1] = marked.has(edgeOf[piece]) ? 1 : 0;
    this.hasMarked = marked.size > 0;
    this.isOther = true;
    this.map.triggerRepaint();
  }

  /** Paints what roads are like at a horizon. */
  setRoads(roads, horizon) {
    const { steps } = this;
    const next = this.spare.fill(UNKNOWN);
    if (roads.flowAt) this.readColumns(next, roads, horizon);
    else {
      for (const road of roads.values()) {
        const found = stepAt(road, horizon);
        if (found === UNKNOWN) continue;
        for (const at of this.placesOf(road)) next[at] = found;
      }
    }
    let at = 0;
    while (at < next.length && next[at] === steps[at]) at++;
    if (at === next.length) return;
    [this.steps, this.spare] = [next, steps];
    this.write();
  }

  /** The same of roads whose steps lie in a column, thousands at once. */
  readColumns(next, roads, horizon) {
    if (this.roadsOf !== roads.list) {
      this.roadsOf = roads.list;
      this.roadOf = new Int32Array(this.edges.length).fill(-1);
      roads.list.forEach((road, place) => { for (const at of this.placesOf(road)) this.roadOf[at] = place; });
    }
    const steps = roads.flowAt(horizon)?.steps;
    if (!steps) return;
    const { roadOf } = this;
    for (let at = 0; at < next.length; at++) if (roadOf[at] >= 0) next[at] = steps[roadOf[at]];
  }

  /** Positions of the edges of a road, looked up once. */
  placesOf(road) {
    let places = this.places.get(road);
    if (!places) this.places.set(road, (places = Uint32Array.from(road.edges.map((edge) => this.positions.get(edge.edge_id)).filter((at) => at !== undefined))));
    return places;
  }

  /** Draws attention to the edges of a road; to none without one. */
  mark(road) {
    const wanted = new Set(road ? this.placesOf(road) : []);
    if (wanted.size === this.marked.size && [...wanted].every((at) => this.marked.has(at))) return;
    this.marked = wanted;
    this.write();
  }

  recolour() {
    this.colours = new Float32Array(STEPS.flatMap(({ name }) => channelsOf(`--flow-${name}`)));
    this.ground = channelsOf("--casing");
    this.ink = channelsOf("--ink");
    this.map.triggerRepaint();
  }

  show(visible) {
    this.visible = visible;
    this.map.triggerRepaint();
  }

  render(gl, { defaultProjectionData: { mainMatrix } }) {
    if (!this.visible || !this.pieces) return;
    gl.bindVertexArray(this.array);
    for (const [name, data, isOther, usage] of [["lines", this.lines, this.isNew, gl.STATIC_DRAW], ["states", this.states, this.isOther, gl.DYNAMIC_DRAW]]) {
      if (!isOther) continue;
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, data, usage);
    }
    this.isNew = this.isOther = false;
    const { uniforms } = this;
    const zoom = this.map.getZoom();
    const ratio = this.map.getPixelRatio();
    const canvas = this.map.getCanvas();
    gl.useProgram(this.program);
    gl.uniformMatrix4fv(uniforms.matrix, false, originMatrix(mainMatrix, this.origin));
    gl.uniform2f(uniforms.screen, canvas.width, canvas.height);
    gl.uniform1f(uniforms.scale, WORLD_PX * 2 ** zoom * ratio);
    gl.uniform1f(uniforms.offset, offsetAt(zoom) * ratio);
    gl.uniform3fv(uniforms.colours, this.colours);
    gl.uniform3fv(uniforms.ground, this.ground);
    gl.uniform3fv(uniforms.ink, this.ink);
    gl.uniform1f(uniforms.crawling, CRAWLING);
    gl.uniform1f(uniforms.unknown, UNKNOWN);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    for (const part of [MARKED, CASING, FILL]) {
      if (part === MARKED && !this.marked.size) continue;
      const none = widthAt(zoom, 0, WIDER[part]) * ratio;
      gl.uniform1i(uniforms.part, part);
      gl.uniform2f(uniforms.widths, none, widthAt(zoom, 1, WIDER[part]) * ratio - none);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.pieces);
    }
    gl.bindVertexArray(null);
  }

  /** The edge at a point of the screen, null where there is none. */
  at({ x, y }, reach = 7) {
    const zoom = this.map.getZoom();
    const scale = WORLD_PX * 2 ** zoom;
    const { lng, lat } = this.map.unproject([x, y]);
    const [atX, atY] = [mercatorX(lng) - this.origin[0], mercatorY(lat) - this.origin[1]];
    const offset = offsetAt(zoom) / scale;
    const { lines } = this;
    let best = null;
    let least = (reach / scale) ** 2;
    for (let piece = 0, place = 0; piece < this.pieces; piece++, place += FLOATS) {
      const [wayX, wayY] = [lines[place + 2] - lines[place], lines[place + 3] - lines[place + 1]];
      const length = Math.hypot(wayX, wayY) || 1;
      // south is down: to the right of a way is its turn by a quarter
      const [toX, toY] = [atX - lines[place] + (offset * wayY) / length, atY - lines[place + 1] - (offset * wayX) / length];
      const share = Math.max(0, Math.min(1, (toX * wayX + toY * wayY) / length ** 2));
      const distance = (toX - share * wayX) ** 2 + (toY - share * wayY) ** 2;
      if (distance < least) [best, least] = [piece, distance];
    }
    return best === null ? null : this.edges[this.edgeOf[best]];
  }
}
