// Draws a map of roads. Roads and routes are drawn onto a picture, which is kept: what follows the pointer is drawn over
// it, and a picture that takes long is moved and stretched first, then drawn anew when the map stands still.

import { colours, STEPS, UNKNOWN } from "./scale.js";

const CRAWLING = STEPS.findIndex((step) => step.name === "crawling");
const SLOW_MS = 25;
const STILL_MS = 160;
const FINEST_PX = 1.5;

export class Painter {
  constructor(map) {
    this.map = map;
    this.picture = document.createElement("canvas");
    this.pictured = null;
    this.took = 0;
    this.colours = colours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colours = colours();
      map.repaint();
    });
  }

  forget() { this.pictured = null; }

  paint() {
    const { map } = this;
    const pen = (this.pen ??= map.canvas.getContext("2d"));
    const ratio = devicePixelRatio || 1;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, map.canvas.width, map.canvas.height);
    if (!map.edges.length || !map.canvas.width || !map.canvas.height) return;
    this.putPicture(pen, ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.lineCap = pen.lineJoin = "round";
    for (const edge of map.edges) if (edge === map.looked || map.marked.has(edge.position)) this.drawStrong(pen, edge);
    for (const end of map.ends) this.drawEnd(pen, end);
    if (map.canvas.matches(":focus-visible")) this.drawCross(pen);
    this.drawLength(pen);
  }

  putPicture(pen, ratio) {
    const { map, picture } = this;
    const { view } = map;
    const before = this.pictured;
    clearTimeout(this.still);
    if (before && this.took > SLOW_MS && !sameView(before, view)) {
      const stretch = view.scale / before.scale;
      const left = (before.x - view.x) * view.scale + (map.width / 2) * (1 - stretch);
      const top = (before.y - view.y) * view.scale + (map.height / 2) * (1 - stretch);
      pen.drawImage(picture, left * ratio, top * ratio, picture.width * stretch, picture.height * stretch);
      this.still = setTimeout(() => {
        this.forget();
        map.redraw();
      }, STILL_MS);
      return;
    }
    if (!before || !sameView(before, view)) this.drawPicture(ratio);
    pen.drawImage(picture, 0, 0);
  }

  drawPicture(ratio) {
    const { map, picture } = this;
    const begun = performance.now();
    picture.width = map.canvas.width;
    picture.height = map.canvas.height;
    const pen = picture.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.lineCap = pen.lineJoin = "round";
    for (const route of [...map.routes].sort((a, b) => a.chosen - b.chosen)) this.drawRoute(pen, route);
    this.drawRoads(pen);
    this.pictured = { ...map.view };
    this.took = performance.now() - begun;
  }

  drawRoads(pen) {
    const { map } = this;
    const groups = new Map();
    const [west, north] = map.onPlane(-40, -40);
    const [east, south] = map.onPlane(map.width + 40, map.height + 40);
    for (const edge of map.edges) {
      const { box } = edge;
      if (box[2] < west || box[0] > east || box[3] < north || box[1] > south) continue;
      const step = map.steps[edge.position];
      // the worse lies above the better, whatever is known above what is not
      const rank = step === UNKNOWN ? -1 : step;
      const key = rank * 100 + Math.min(edge.lanes || 1, 99);
      const group = groups.get(key) ?? { step, width: map.widthOf(edge), path: new Path2D() };
      this.trace(group.path, edge);
      groups.set(key, group);
    }
    const sorted = [...groups.entries()].sort((a, b) => a[0] - b[0]).map(([, group]) => group);
    for (const { width, path } of sorted) stroke(pen, path, width + 1.6, this.colours.casing);
    for (const group of sorted) this.drawRoad(pen, group);
  }

  drawRoad(pen, { step, width, path }) {
    if (step === UNKNOWN) pen.setLineDash([width * 1.5, width * 1.7]);
    stroke(pen, path, width, this.colours.steps[step]);
    if (step === CRAWLING) {
      pen.setLineDash([0, Math.max(5, width * 1.6)]);
      stroke(pen, path, Math.max(1.3, width * 0.4), this.colours.ground);
    }
    pen.setLineDash([]);
  }

  drawStrong(pen, edge) {
    const width = this.map.widthOf(edge);
    const path = this.trace(new Path2D(), edge);
    stroke(pen, path, width + 7, this.colours.ink);
    stroke(pen, path, width + 2, this.colours.ground);
    this.drawRoad(pen, { step: this.map.steps[edge.position], width, path });
  }

  trace(path, line, shift = this.map.shiftOf(line)) {
    const { points, sideways } = line;
    const { width, height, view: { x, y, scale } } = this.map;
    const last = points.length - 2;
    let [beforeX, beforeY] = [Infinity, Infinity];
    for (let at = 0; at <= last; at += 2) {
      const px = (points[at] - x) * scale + width / 2 + sideways[at] * shift;
      const py = (points[at + 1] - y) * scale + height / 2 + sideways[at + 1] * shift;
      if (at && at < last && Math.abs(px - beforeX) + Math.abs(py - beforeY) < FINEST_PX) continue;
      if (at) path.lineTo(px, py);
      else path.moveTo(px, py);
      [beforeX, beforeY] = [px, py];
    }
    return path;
  }

  drawRoute(pen, { line, chosen }) {
    const lane = this.map.laneWidth();
    // between the shifts of one-way and two-way roads, and wide enough for both
    const path = this.trace(new Path2D(), line, 1.5 * lane);
    if (!chosen) pen.setLineDash([10, 9]);
    stroke(pen, path, 4 * lane + 12, chosen ? this.colours.route : this.colours.other);
    pen.setLineDash([]);
  }

  drawEnd(pen, { place, letter }) {
    const circle = new Path2D();
    const [px, py] = this.map.onCanvas(place);
    circle.arc(px, py, 11, 0, 2 * Math.PI);
    pen.fillStyle = this.colours.ink;
    pen.fill(circle);
    stroke(pen, circle, 2, this.colours.ground);
    pen.fillStyle = this.colours.ground;
    pen.font = "bold 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(letter, px, py + 0.5);
  }

  drawCross(pen) {
    const [px, py] = [this.map.width / 2, this.map.height / 2];
    const path = new Path2D(`M${px - 12} ${py}H${px - 4}M${px + 4} ${py}H${px + 12}M${px} ${py - 12}V${py - 4}M${px} ${py + 4}V${py + 12}`);
    stroke(pen, path, 5, this.colours.ground);
    stroke(pen, path, 2, this.colours.focus);
  }

  drawLength(pen) {
    const { scale } = this.map.view;
    const most = 140 / scale;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((times) => times * power).find((metres) => metres <= most);
    const y = this.map.height - 12;
    const path = new Path2D(`M12 ${y - 5}V${y}H${12 + length * scale}V${y - 5}`);
    stroke(pen, path, 4, this.colours.ground);
    stroke(pen, path, 1.5, this.colours.ink);
    const text = length < 1000 ? `${length} m` : `${length / 1000} km`;
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "left";
    pen.textBaseline = "bottom";
    pen.strokeStyle = this.colours.ground;
    pen.lineWidth = 3;
    pen.strokeText(text, 17, y - 3);
    pen.fillStyle = this.colours.ink;
    pen.fillText(text, 17, y - 3);
  }
}

function sameView(a, b) {
  return a.x === b.x && a.y === b.y && a.scale === b.scale;
}

function stroke(pen, path, width, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.stroke(path);
}
