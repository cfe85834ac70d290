// The road graph on a canvas. There are no map tiles: what is drawn is what forecasts and routes are made on.

import { boundsOf, lineOn, Plane, squaredDistance } from "./geometry.js";
import { Painter } from "./painter.js";
import { UNKNOWN } from "./scale.js";

const REACH_PX = 14;
const CLOSEST_PX_PER_M = 4;
const MARGIN_PX = 24;

export class RoadMap {
  /**
   * @param canvas focusable.
   * @param onLook called with the edge that is under the pointer or the cross (or null), and where that is in pixels.
   * @param onChoose called with the edge (or null) and the place that was clicked or entered.
   */
  constructor(canvas, onLook, onChoose) {
    Object.assign(this, { canvas, onLook, onChoose, edges: [], routes: [], ends: [], looked: null, marked: new Set() });
    this.steps = new Uint8Array();
    this.view = { x: 0, y: 0, scale: 1 };
    this.painter = new Painter(this);
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.listenToPointers();
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    canvas.addEventListener("focus", () => this.lookAtCross());
    canvas.addEventListener("blur", () => { this.look(null); this.redraw(); });
  }

  setNetwork(features) {
    this.plane = new Plane(...boundsOf(features));
    const ends = new Set(features.map(({ geometry: { coordinates } }) => `${coordinates[0]};${coordinates.at(-1)}`));
    this.edges = features.map((feature, position) => {
      const { coordinates } = feature.geometry;
      const twoWay = ends.has(`${coordinates.at(-1)};${coordinates[0]}`);
      return { position, twoWay, ...feature.properties, ...lineOn(this.plane, coordinates) };
    });
    this.steps = new Uint8Array(this.edges.length).fill(UNKNOWN);
    this.painter.forget();
    this.fit();
    return this.edges;
  }

  setSteps(steps) {
    this.steps = steps;
    this.repaint();
  }

  /** Takes [{places, chosen}]. */
  setRoutes(routes) {
    this.routes = routes.map(({ places, chosen }) => ({ chosen, line: lineOn(this.plane, places.map(({ lat, lng }) => [lng, lat])) }));
    this.repaint();
  }

  setEnds(ends) { this.ends = ends; this.redraw(); }

  mark(edges) { this.marked = new Set(edges.map((edge) => edge.position)); this.redraw(); }

  // ---- what is seen

  fit(box = this.wholeBox()) {
    if (!box || !this.width) return;
    const [west, north, east, south] = box;
    const scale = Math.min((this.width - 2 * MARGIN_PX) / Math.max(east - west, 200), (this.height - 2 * MARGIN_PX) / Math.max(south - north, 200));
    if (box === this.whole) this.widest = scale * 0.6;
    this.view = { x: (west + east) / 2, y: (north + south) / 2, scale: Math.max(scale, 1e-6) };
    this.redraw();
  }

  wholeBox() {
    if (!this.edges.length) return null;
    this.whole = around(this.edges.map((edge) => edge.box));
    return this.whole;
  }

  centreOn(edges) {
    const [west, north, east, south] = around(edges.map((edge) => edge.box));
    const room = Math.max(700, 3 * (east - west), 3 * (south - north)) / 2;
    const x = (west + east) / 2;
    const y = (north + south) / 2;
    this.fit([x - room, y - room, x + room, y + room]);
  }

  fitPlaces(places) {
    this.fit(around(places.map(({ lat, lng }) => [this.plane.x(lng), this.plane.y(lat), this.plane.x(lng), this.plane.y(lat)])));
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const { view } = this;
    const [x, y] = this.onPlane(px, py);
    view.scale = Math.max(this.widest ?? 0, Math.min(CLOSEST_PX_PER_M, view.scale * factor));
    view.x = x - (px - this.width / 2) / view.scale;
    view.y = y - (py - this.height / 2) / view.scale;
    this.redraw();
  }

  pan(dx, dy) {
    this.view.x += dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.redraw();
  }

  resize() {
    const first = !this.width;
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.painter.forget();
    if (first) this.fit();
    // at once: a canvas of a new size is empty
    this.draw();
  }

  onPlane(px, py) {
    const { x, y, scale } = this.view;
    return [x + (px - this.width / 2) / scale, y + (py - this.height / 2) / scale];
  }

  onCanvas(place) {
    const { x, y, scale } = this.view;
    return [(this.plane.x(place.lng) - x) * scale + this.width / 2, (this.plane.y(place.lat) - y) * scale + this.height / 2];
  }

  laneWidth() { return Math.max(1.1, Math.min(4.5, this.view.scale * 5)); }

  widthOf(edge) { return Math.max(2.2, (edge.lanes || 1) * this.laneWidth() + 0.8); }

  shiftOf(edge) { return edge.twoWay ? this.widthOf(edge) / 2 + 0.7 : 0; }

  edgeAt(px, py) {
    const [x, y] = this.onPlane(px, py);
    const { scale } = this.view;
    let best = null;
    let least = (REACH_PX / scale) ** 2;
    for (const edge of this.edges) {
      const reach = Math.sqrt(least) + 20 / scale;
      const [west, north, east, south] = edge.box;
      if (x < west - reach || x > east + reach || y < north - reach || y > south + reach) continue;
      const squared = squaredDistance(edge, this.shiftOf(edge) / scale, x, y);
      if (squared < least) {
        least = squared;
        best = edge;
      }
    }
    return best;
  }

  // ---- pointers and keys

  listenToPointers() {
    const { canvas } = this;
    const down = new Map();
    let moved = 0;
    let apart = 0;
    const place = (event) => [event.offsetX, event.offsetY];
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, place(event));
      if (down.size === 1) moved = 0;
      apart = spread(down);
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = place(event);
      const before = down.get(event.pointerId);
      if (!before) return this.look(this.edgeAt(...now), now);
      down.set(event.pointerId, now);
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      if (down.size === 2) {
        const wider = spread(down);
        if (apart) this.zoom(wider / apart, ...now);
        apart = wider;
      } else if (moved > 4) this.pan(before[0] - now[0], before[1] - now[1]);
    });
    const up = (event) => {
      const known = down.delete(event.pointerId);
      if (known && event.type === "pointerup" && !down.size && moved <= 4) this.choose(...place(event));
      apart = spread(down);
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => this.look(null));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...place(event));
    }, { passive: false });
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 160 : 40;
    const keys = {
      ArrowLeft: () => this.pan(-step, 0), ArrowRight: () => this.pan(step, 0), ArrowUp: () => this.pan(0, -step), ArrowDown: () => this.pan(0, step),
      "+": () => this.zoom(1.4), "=": () => this.zoom(1.4), "-": () => this.zoom(1 / 1.4), 0: () => this.fit(),
      Enter: () => this.choose(this.width / 2, this.height / 2), " ": () => this.choose(this.width / 2, this.height / 2),
    };
    if (!keys[event.key] || !this.edges.length) return;
    event.preventDefault();
    keys[event.key]();
    this.lookAtCross();
  }

  lookAtCross() {
    if (!this.edges.length || !this.canvas.matches(":focus-visible")) return;
    const middle = [this.width / 2, this.height / 2];
    this.look(this.edgeAt(...middle), middle);
  }

  look(edge, at = null) {
    if (edge !== this.looked) this.redraw();
    this.looked = edge;
    this.onLook(edge, at);
  }

  choose(px, py) {
    if (!this.plane) return;
    this.onChoose(this.edgeAt(px, py), this.plane.place(...this.onPlane(px, py)));
  }

  // ---- drawing

  /** What is on the map has changed, not only where it is looked at. */
  repaint() {
    this.painter.forget();
    this.redraw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  draw() { this.painter.paint(); }
}

function around(boxes) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [west, north, east, south] of boxes) {
    box[0] = Math.min(box[0], west);
    box[1] = Math.min(box[1], north);
    box[2] = Math.max(box[2], east);
    box[3] = Math.max(box[3], south);
  }
  return box;
}

function spread(pointers) {
  const [a, b] = [...pointers.values()];
  return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
}
