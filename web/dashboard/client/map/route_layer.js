// Routes below the roads, so that these keep their colours, and their ends.

import { Marker } from "../vendor/maplibre-gl.mjs";
import { colourOf } from "../components/colours.js";

const SOURCE = "routes";
const LETTERS = ["A", "B"];

const paint = () => ({
  "routes-other": { "line-color": colourOf("--other-route"), "line-width": ["interpolate", ["linear"], ["zoom"], 11, 6, 15, 17], "line-dasharray": [1.2, 1.1] },
  "routes-chosen": { "line-color": colourOf("--route"), "line-width": ["interpolate", ["linear"], ["zoom"], 11, 8, 15, 21] },
});

export class RouteLayer {
  constructor(map) {
    Object.assign(this, { map, markers: [null, null] });
    map.addSource(SOURCE, { type: "geojson", data: { type: "FeatureCollection", features: [] } });
    for (const [id, painted] of Object.entries(paint())) {
      map.addLayer({ id, type: "line", source: SOURCE, filter: ["==", ["get", "chosen"], id === "routes-chosen"], layout: { "line-join": "round", "line-cap": id === "routes-chosen" ? "round" : "butt" }, paint: painted }, "roads");
    }
  }

  /** @param routes `[{places: [{lat, lng}], chosen}]` */
  setRoutes(routes) {
    const features = routes.map(({ places, chosen }, id) => ({ type: "Feature", id, geometry: { type: "LineString", coordinates: places.map(({ lat, lng }) => [lng, lat]) }, properties: { chosen } }));
    this.map.getSource(SOURCE).setData({ type: "FeatureCollection", features });
  }

  /** @param ends two places `{lat, lng}` or null; `onMove(at, place)` when one is dragged. */
  setEnds(ends, onMove) {
    ends.forEach((place, at) => {
      let marker = this.markers[at];
      if (!place) {
        marker?.remove();
        this.markers[at] = null;
        return;
      }
      if (!marker) {
        const element = document.createElement("div");
        element.className = "route-end";
        element.textContent = LETTERS[at];
        marker = this.markers[at] = new Marker({ element, draggable: true }).setLngLat(place).addTo(this.map);
        marker.on("dragend", () => this.moved(at, marker.getLngLat()));
      } else marker.setLngLat(place);
    });
    this.moved = onMove;
  }

  recolour() {
    for (const [layer, painted] of Object.entries(paint())) for (const [name, value] of Object.entries(painted)) this.map.setPaintProperty(layer, name, value);
  }
}
