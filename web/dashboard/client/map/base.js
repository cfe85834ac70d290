// The map itself: our own ground, no tiles unless the installation names some, nothing from elsewhere.

import { Map as MapLibre, AttributionControl, ScaleControl, setWorkerUrl } from "../vendor/maplibre-gl.mjs";
import { colourOf } from "../components/colours.js";
import { settings } from "../live/settings.js";

// not beside this module: where that lies when it is packed is another place
setWorkerUrl(new URL("/static/vendor/maplibre-gl-worker.mjs", location.href).href);

const CITY_ZOOM = 14;

export function makeMap(container, view) {
  const tiles = settings.peek()?.tiles_url;
  const sources = tiles ? { tiles: { type: "raster", tiles: [tiles], tileSize: 256, attribution: settings.peek().tiles_attribution } } : {};
  const ground = { id: "ground", type: "background", paint: { "background-color": colourOf("--water") } };
  const layers = tiles ? [ground, { id: "tiles", type: "raster", source: "tiles", paint: { "raster-saturation": -0.7, "raster-opacity": 0.65 } }] : [ground];
  const map = new MapLibre({
    container,
    style: { version: 8, sources, layers },
    center: view ? [view.lng, view.lat] : [0, 0],
    zoom: view?.zoom ?? CITY_ZOOM,
    minZoom: 3,
    maxZoom: 20,
    maxPitch: 0,
    dragRotate: false,
    touchPitch: false,
    pitchWithRotate: false,
    attributionControl: false,
    trackResize: false,
    // 0 would place all symbols anew at each frame, which is more garbage than all else that the map makes
    fadeDuration: 1,
    locale: { "Map.Title": "" },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new ScaleControl({ unit: "metric" }), "bottom-left");
  if (tiles) map.addControl(new AttributionControl({ compact: true }), "bottom-right");
  return map;
}

export function boundsOf(places) {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [lng, lat] of places) {
    west = Math.min(west, lng);
    east = Math.max(east, lng);
    south = Math.min(south, lat);
    north = Math.max(north, lat);
  }
  return west > east ? null : [[west, south], [east, north]];
}
