// Cameras by their level, and how busy their places are as a heatmap.

import { colourOf } from "../components/colours.js";
import { isSilent } from "../live/cameras.js";
import { LEVELS } from "../components/words.js";

const SOURCE = "cameras";
const BARS = { SEVERE: 4, HIGH: 3, MODERATE: 2, LOW: 1, UNKNOWN: 0 };
const SIZE = 26;

/** A disc with as many bars as the level is high: what the colour says is seen without it, too. */
function picture(level, silent) {
  const ratio = 2;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE * ratio;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.scale(ratio, ratio);
  const colour = colourOf(`--${level.toLowerCase()}-fill`);
  pen.beginPath();
  pen.arc(SIZE / 2, SIZE / 2, SIZE / 2 - 2, 0, 2 * Math.PI);
  pen.fillStyle = silent ? colourOf("--card") : colour;
  pen.fill();
  pen.lineWidth = 2;
  pen.strokeStyle = silent ? colour : colourOf("--casing");
  if (silent) pen.setLineDash([3, 3]);
  pen.stroke();
  pen.fillStyle = silent ? colourOf("--dim") : "#10181f";
  for (let bar = 0; bar < 4; bar++) {
    const height = 3 + bar * 2.4;
    pen.globalAlpha = bar < BARS[level] ? 1 : 0.25;
    pen.fillRect(6.6 + bar * 3.4, 18.4 - height, 2.4, height);
  }
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

export class CamerasLayer {
  constructor(map) {
    Object.assign(this, { map, ids: [] });
    map.addSource(SOURCE, { type: "geojson", data: empty() });
    map.addSource("heat", { type: "geojson", data: empty() });
    map.addLayer({ id: "heat", type: "heatmap", source: "heat", paint: heatPaint() }, map.getLayer("roads") ? "roads" : undefined);
    this.pictures(false);
    map.addLayer({ id: SOURCE, type: "symbol", source: SOURCE, layout: { "icon-image": ["get", "picture"], "icon-allow-overlap": true, "icon-size": ["interpolate", ["linear"], ["zoom"], 11, 0.45, 14, 0.85, 17, 1.2], "symbol-sort-key": ["get", "rank"] } });
  }

  pictures(again) {
    for (const level of LEVELS) {
      for (const silent of [false, true]) {
        const name = `${level}${silent ? "-silent" : ""}`;
        if (again) this.map.updateImage(name, picture(level, silent));
        else this.map.addImage(name, picture(level, silent), { pixelRatio: 2 });
      }
    }
  }

  recolour() {
    this.pictures(true);
    for (const [name, value] of Object.entries(heatPaint())) this.map.setPaintProperty("heat", name, value);
  }

  setCameras(cameras, registered, now) {
    const ids = [];
    const features = [];
    for (const camera of cameras.values()) {
      const place = registered.get(camera.id);
      if (!Number.isFinite(place?.lat)) continue;
      const level = camera.row.congestion_level;
      const properties = { picture: `${level}${isSilent(camera, now) ? "-silent" : ""}`, rank: BARS[level] };
      features.push({ type: "Feature", id: ids.length, geometry: { type: "Point", coordinates: [place.lng, place.lat] }, properties });
      ids.push(camera.id);
    }
    // windows come all the time, other pictures seldom
    const shown = JSON.stringify(features);
    if (shown === this.shown) return;
    Object.assign(this, { ids, shown });
    this.map.getSource(SOURCE).setData({ type: "FeatureCollection", features });
  }

  setHeat(points) {
    const features = points.map(({ longitude, latitude, weight, intensity }) => ({ type: "Feature", geometry: { type: "Point", coordinates: [longitude, latitude] }, properties: { weight: intensity ?? weight } }));
    this.map.getSource("heat").setData({ type: "FeatureCollection", features });
  }

  show({ cameras, heat }) {
    this.map.setLayoutProperty(SOURCE, "visibility", cameras ? "visible" : "none");
    this.map.setLayoutProperty("heat", "visibility", heat ? "visible" : "none");
  }

  at(point) {
    const [found] = this.map.queryRenderedFeatures([[point.x - 4, point.y - 4], [point.x + 4, point.y + 4]], { layers: [SOURCE] });
    return found ? this.ids[found.id] : null;
  }
}

const empty = () => ({ type: "FeatureCollection", features: [] });

function heatPaint() {
  const [low, moderate, high, severe] = ["low", "moderate", "high", "severe"].map((level) => colourOf(`--${level}-fill`));
  return {
    "heatmap-weight": ["get", "weight"],
    "heatmap-radius": ["interpolate", ["exponential", 1.8], ["zoom"], 11, 12, 14, 55, 17, 160],
    "heatmap-intensity": 1,
    "heatmap-opacity": 0.55,
    "heatmap-color": ["interpolate", ["linear"], ["heatmap-density"], 0, "rgba(0,0,0,0)", 0.15, low, 0.4, moderate, 0.7, high, 1, severe],
  };
}
