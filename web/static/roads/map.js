// The road graph on a canvas. There are no map tiles: what is drawn is what forecasts and routes are made on.

import { boundsOf, lineOn, Plane, squaredDistance } from "./geometry.js";
import { colours, STEPS, UNKNOWN } from "./scale.js";

const REACH_PX = 14;
const CLOSEST_PX_PER_M = 4;
const MARGIN_PX = 24;
const CRAWLING = STEPS.findIndex((step) => step.name === "crawling");

export class RoadMap {
  /**
   * @param canvas focusable.
   * @param onLook called with the edge that is under the pointer or the cross (or null), and where that is in pixels.
   * @param onChoose called with the edge (or null) and the place that was clicked or entered.
   */
  constructor(canvas, onLook, onChoose) {
    Object.assign(this, { canvas, onLook, onChoose, edges: [], routes: [], ends: [], looked: null, marked: new Set(), dashed: 0 });
    this.steps = new Uint8Array();
    this.view = { x: 0, y: 0, scale: 1 };
    this.colours = colours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.colours = colours(); this.redraw(); });
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
    this.fit();
    return this.edges;
  }

  setSteps(steps) { this.steps = steps; this.redraw(); }

  /** Takes [{places, chosen}]. */
  setRoutes(routes) {
    this.routes = routes.map(({ places, chosen }) => ({ chosen, line: lineOn(this.plane, places.map(({ lat, lng }) => [lng, lat])) }));
    this.redraw();
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

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const pen = (this.pen ??= this.canvas.getContext("2d"));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    if (!this.edges.length) return;
    pen.lineCap = pen.lineJoin = "round";
    for (const route of [...this.routes].sort((a, b) => a.chosen - b.chosen)) this.drawRoute(pen, route);
    this.drawRoads(pen);
    for (const end of this.ends) this.drawEnd(pen, end);
    if (this.canvas.matches(":focus-visible")) this.drawCross(pen);
    this.drawLength(pen);
  }

  drawRoads(pen) {
    const groups = new Map();
    const [west, north] = this.onPlane(-40, -40);
    const [east, south] = this.onPlane(this.width + 40, this.height + 40);
    for (const edge of this.edges) {
      const { box } = edge;
      if (box[2] < west || box[0] > east || box[3] < north || box[1] > south) continue;
      const step = this.steps[edge.position];
      // the worse lies above the better, whatever is known above what is not
      const rank = step === UNKNOWN ? -1 : step;
      const key = rank * 100 + Math.min(edge.lanes || 1, 99);
      const group = groups.get(key) ?? { step, width: this.widthOf(edge), path: new Path2D() };
      this.trace(group.path, edge);
      groups.set(key, group);
    }
    const sorted = [...groups.entries()].sort((a, b) => a[0] - b[0]).map(([, group]) => group);
    pen.strokeStyle = this.colours.casing;
    for (const { width, path } of sorted) this.stroke(pen, path, width + 1.6);
    for (const edge of this.edges) {
      const strong = edge === this.looked || this.marked.has(edge.position);
      if (strong) this.stroke(pen, this.trace(new Path2D(), edge), this.widthOf(edge) + 7, this.colours.ink);
    }
    for (const { step, width, path } of sorted) {
      if (step === UNKNOWN) pen.setLineDash([width * 1.5, width * 1.7]);
      this.stroke(pen, path, width, this.colours.steps[step]);
      pen.setLineDash([]);
      if (step !== CRAWLING) continue;
      pen.setLineDash([0, Math.max(5, width * 1.6)]);
      this.stroke(pen, path, Math.max(1.3, width * 0.4), this.colours.ground);
      pen.setLineDash([]);
    }
  }

  trace(path, line, shift = this.shiftOf(line)) {
    const { points, sideways } = line;
    const { x, y, scale } = this.view;
    for (let at = 0; at < points.length; at += 2) {
      const px = (points[at] - x) * scale + this.width / 2 + sideways[at] * shift;
      const py = (points[at + 1] - y) * scale + this.height / 2 + sideways[at + 1] * shift;
      if (at) path.lineTo(px, py);
      else path.moveTo(px, py);
    }
    return path;
  }

  stroke(pen, path, width, colour = null) {
    if (colour) pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.stroke(path);
  }

  drawRoute(pen, { line, chosen }) {
    // between the shifts of one-way and two-way roads, and wide enough for both
    const path = this.trace(new Path2D(), line, 1.5 * this.laneWidth());
    if (!chosen) pen.setLineDash([10, 9]);
    this.stroke(pen, path, 4 * this.laneWidth() + 12, chosen ? this.colours.route : this.colours.other);
    pen.setLineDash([]);
  }

  drawEnd(pen, { place, letter }) {
    const [px, py] = this.onCanvas(place);
    pen.beginPath();
    pen.arc(px, py, 11, 0, 2 * Math.PI);
    pen.fillStyle = this.colours.ink;
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = this.colours.ground;
    pen.stroke();
    pen.fillStyle = this.colours.ground;
    pen.font = "bold 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(letter, px, py + 0.5);
  }

  drawCross(pen) {
    const [px, py] = [this.width / 2, this.height / 2];
    const path = new Path2D(`M${px - 12} ${py}H${px - 4}M${px + 4} ${py}H${px + 12}M${px} ${py - 12}V${py - 4}M${px} ${py + 4}V${py + 12}`);
    this.stroke(pen, path, 5, this.colours.ground);
    this.stroke(pen, path, 2, this.colours.focus);
  }

  drawLength(pen) {
    const most = 140 / this.view.scale;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((times) => times * power).find((metres) => metres <= most);
    const px = length * this.view.scale;
    const y = this.height - 12;
    const path = new Path2D(`M12 ${y - 5}V${y}H${12 + px}V${y - 5}`);
    this.stroke(pen, path, 4, this.colours.ground);
    this.stroke(pen, path, 1.5, this.colours.ink);
    pen.fillStyle = this.colours.ink;
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "left";
    pen.textBaseline = "bottom";
    pen.fillText(length < 1000 ? `${length} m` : `${length / 1000} km`, 17, y - 3);
  }
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
