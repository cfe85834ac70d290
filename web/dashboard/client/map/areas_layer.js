// Areas: monitoring zones, and cells where more riders tap on than usual.

import { colourOf } from "../components/colours.js";

/** Below the roads, whose colours must stay what they mean. */
const BELOW = "roads";
const SOURCES = { zones: "--zone", surge: "--surge" };

export class AreasLayer {
  constructor(map) {
    this.map = map;
    for (const [name, colour] of Object.entries(SOURCES)) {
      map.addSource(name, { type: "geojson", data: { type: "FeatureCollection", features: [] } });
      map.addLayer({ id: `${name}-fill`, type: "fill", source: name, paint: { "fill-color": colourOf(colour), "fill-opacity": 0.09 } }, BELOW);
      map.addLayer({ id: `${name}-line`, type: "line", source: name, paint: { "line-color": colourOf(colour), "line-width": 2, ...(name === "zones" ? { "line-dasharray": [3, 2] } : {}) } }, BELOW);
    }
  }

  /** @param features GeoJSON polygons with `properties.name`. */
  set(name, features) {
    this[name] = features;
    this.map.getSource(name).setData({ type: "FeatureCollection", features: features.map((feature, id) => ({ ...feature, id })) });
  }

  recolour() {
    for (const [name, colour] of Object.entries(SOURCES)) {
      this.map.setPaintProperty(`${name}-fill`, "fill-color", colourOf(colour));
      this.map.setPaintProperty(`${name}-line`, "line-color", colourOf(colour));
    }
  }

  show(name, visible) {
    for (const part of ["fill", "line"]) this.map.setLayoutProperty(`${name}-${part}`, "visibility", visible ? "visible" : "none");
  }

  at(point, name) {
    const [found] = this.map.queryRenderedFeatures([point.x, point.y], { layers: [`${name}-fill`] });
    return found ? this[name][found.id] : null;
  }
}

const BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz";

/** The cell of a geohash as a ring; the letters halve longitude and latitude in turn. */
export function cellOf(geohash) {
  const [lng, lat] = [[-180, 180], [-90, 90]];
  let even = true;
  for (const letter of geohash) {
    const bits = BASE32.indexOf(letter);
    if (bits < 0) return null;
    for (let bit = 16; bit; bit >>= 1) {
      const range = even ? lng : lat;
      const middle = (range[0] + range[1]) / 2;
      range[bits & bit ? 0 : 1] = middle;
      even = !even;
    }
  }
  return [[lng[0], lat[0]], [lng[1], lat[0]], [lng[1], lat[1]], [lng[0], lat[1]], [lng[0], lat[0]]];
}
