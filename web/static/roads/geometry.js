// Lines of roads on the plane: metres east and south of the middle of the map.

const METRES_PER_DEGREE = 111_195;
const RADIANS = Math.PI / 180;

export class Plane {
  constructor(west, south, east, north) {
    this.lon = (west + east) / 2;
    this.lat = (south + north) / 2;
    this.stretch = Math.cos(this.lat * RADIANS);
  }

  x(lon) { return (lon - this.lon) * METRES_PER_DEGREE * this.stretch; }

  y(lat) { return (this.lat - lat) * METRES_PER_DEGREE; }

  place(x, y) {
    return { lat: this.lat - y / METRES_PER_DEGREE, lng: this.lon + x / METRES_PER_DEGREE / this.stretch };
  }
}

export function boundsOf(features) {
  const bounds = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { geometry } of features) {
    for (const [lon, lat] of geometry.coordinates) {
      bounds[0] = Math.min(bounds[0], lon);
      bounds[1] = Math.min(bounds[1], lat);
      bounds[2] = Math.max(bounds[2], lon);
      bounds[3] = Math.max(bounds[3], lat);
    }
  }
  return bounds;
}

/** A line as flat arrays: points, and at each point the unit vector to the right of the driving direction. */
export function lineOn(plane, coordinates) {
  const count = coordinates.length;
  const points = new Float64Array(2 * count);
  const sideways = new Float64Array(2 * count);
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  coordinates.forEach(([lon, lat], at) => {
    const x = plane.x(lon);
    const y = plane.y(lat);
    points[2 * at] = x;
    points[2 * at + 1] = y;
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  });
  for (let at = 0; at < count; at++) {
    const before = 2 * Math.max(at - 1, 0);
    const after = 2 * Math.min(at + 1, count - 1);
    const dx = points[after] - points[before];
    const dy = points[after + 1] - points[before + 1];
    const length = Math.hypot(dx, dy) || 1;
    // y grows to the south, so right of (dx, dy) is (-dy, dx)
    sideways[2 * at] = -dy / length;
    sideways[2 * at + 1] = dx / length;
  }
  return { points, sideways, box };
}

/** Square of the distance of a place from a line moved sideways by so many metres. */
export function squaredDistance(line, shiftM, x, y) {
  const { points, sideways } = line;
  let best = Infinity;
  for (let at = 0; at + 3 < points.length; at += 2) {
    const ax = points[at] + sideways[at] * shiftM;
    const ay = points[at + 1] + sideways[at + 1] * shiftM;
    const dx = points[at + 2] + sideways[at + 2] * shiftM - ax;
    const dy = points[at + 3] + sideways[at + 3] * shiftM - ay;
    const along = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
    best = Math.min(best, (ax + along * dx - x) ** 2 + (ay + along * dy - y) ** 2);
  }
  return best;
}
