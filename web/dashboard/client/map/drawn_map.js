// The map itself. It draws what it is given, and says what is pressed and where it is looked at.

import { effect, html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { onColours } from "../components/colours.js";
import { Icon } from "../shell/icons.js";
import { registered } from "../live/cameras.js";
import { edges, told } from "../live/roads.js";
import { settings } from "../live/settings.js";
import { t } from "../texts/index.js";
import { AreasLayer } from "./areas_layer.js";
import { boundsOf, makeMap } from "./base.js";
import { CamerasLayer } from "./cameras_layer.js";
import { Markers } from "./markers.js";
import { RoadsLayer } from "./roads_layer.js";
import { RouteLayer } from "./route_layer.js";
import { VehiclesLayer } from "./vehicles_layer.js";

const RESIZE_AFTER_MS = 100;

/** The map once its library is there: see `CityMap` for what it is given. */
export function DrawnMap(props) {
  const place = useRef(null);
  const [drawn, setDrawn] = useState(null);
  const [generation, setGeneration] = useState(0);
  const looked = useRef(props.view);
  const latest = useRef(props);
  const { source } = props;
  latest.current = props;
  useEffect(() => {
    const map = makeMap(place.current, looked.current);
    // a new size makes the graphics card wait: once, when it has come to rest
    let resizing = null;
    const watch = new ResizeObserver(() => {
      clearTimeout(resizing);
      resizing = setTimeout(() => map.resize(), RESIZE_AFTER_MS);
    });
    watch.observe(place.current);
    let parts = null;
    let unwatch = () => {};
    map.on("load", () => {
      parts = makeParts(map, latest, source, Boolean(looked.current));
      unwatch = onColours(() => {
        map.setPaintProperty("ground", "background-color", getComputedStyle(place.current).backgroundColor);
        for (const part of Object.values(parts)) part.recolour?.();
      });
      setDrawn(parts);
    });
    // the graphics card took everything away: what it gives back is empty
    map.on("webglcontextlost", () => { if (parts?.fitted) looked.current = { ...map.getCenter(), zoom: map.getZoom() }; });
    map.on("webglcontextrestored", () => setGeneration((before) => before + 1));
    map.on("error", ({ error }) => console.warn(`map: ${error?.message}`));
    return () => {
      watch.disconnect();
      clearTimeout(resizing);
      unwatch();
      setDrawn(null);
      map.remove();
    };
  }, [generation]);
  useParts(drawn, props, source);
  const map = drawn?.map;
  return html`<div class="map-place" data-pick=${props.cursor ?? ""}>
    <div class="map-canvas" ref=${place} role="application" aria-roledescription=${t("map.map")} aria-label=${props.label}></div>
    <${MapSays} ready=${drawn && edges.value} />
    <div class="map-buttons" role="group" aria-label=${t("map.zoom")}>
      <button type="button" class="icon-button" aria-label=${t("map.zoom.in")} onClick=${() => map?.zoomIn()}><${Icon} name="plus" /></button>
      <button type="button" class="icon-button" aria-label=${t("map.zoom.out")} onClick=${() => map?.zoomOut()}><${Icon} name="minus" /></button>
      <button type="button" class="icon-button" aria-label=${t("map.zoom.all")} title=${t("map.zoom.all")} onClick=${() => drawn?.fitAll()}><${Icon} name="fit" /></button>
    </div>
    ${props.children}
  </div>`;
}

/** Until there are roads to see: that they come, or why they do not. */
function MapSays({ ready }) {
  const { body, problem } = told.value.network ?? {};
  if (body === null && problem) return html`<p class="map-said" role="status">${problem.status === 404 ? t("roads.graph.none") : t("shell.problem", { why: problem.message })}</p>`;
  return ready ? null : html`<p class="map-said" role="status" aria-busy="true">${t("shell.loading")}</p>`;
}

function makeParts(map, latest, source, fitted) {
  const roadsLayer = new RoadsLayer(map);
  const routes = new RouteLayer(map);
  const areas = new AreasLayer(map);
  const camerasLayer = new CamerasLayer(map);
  const vehiclesLayer = new VehiclesLayer(map, source.fleet);
  const markers = new Markers(map, (kind, id) => latest.current.onPick?.({ kind, id }));
  const parts = { map, roadsLayer, routes, areas, camerasLayer, vehiclesLayer, markers, fitted };
  parts.fitAll = () => {
    const bounds = boundsOf((edges.peek() ?? []).flatMap((edge) => edge.coordinates)) ?? cityBounds();
    if (bounds) map.fitBounds(bounds, { padding: 30, duration: 0 });
  };
  const found = (point) => {
    const { layers } = latest.current;
    const camera = layers.has("cameras") && camerasLayer.at(point);
    if (camera) return { kind: "camera", id: camera };
    const vehicle = (layers.has("cars") || layers.has("transit")) && vehiclesLayer.at(point);
    if (vehicle) return { kind: "vehicle", id: vehicle };
    const edge = layers.has("roads") && roadsLayer.at(point);
    if (edge) return { kind: "road", id: edge.road_id };
    const cell = layers.has("surge") && areas.at(point, "surge");
    if (cell) return { kind: "surge", id: cell.properties.name };
    const zone = layers.has("zones") && areas.at(point, "zones");
    return zone ? { kind: "zone", id: zone.properties.id } : { kind: "place", id: null };
  };
  map.on("click", ({ point, lngLat: { lat, lng } }) => latest.current.onPick?.({ ...found(point), lat, lng }));
  map.on("mousemove", ({ point }) => { map.getCanvas().style.cursor = latest.current.cursor || found(point).kind === "place" ? "" : "pointer"; });
  map.on("moveend", () => {
    // until it shows the city, nobody has looked anywhere
    if (!parts.fitted) return;
    const { lat, lng } = map.getCenter();
    latest.current.onView?.({ lat, lng, zoom: map.getZoom() });
  });
  // Enter presses what is under the middle: who has no pointer moves the map below it
  map.getCanvas().addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const { lat, lng } = map.getCenter();
    latest.current.onPick?.({ ...found(map.project([lng, lat])), lat, lng });
  });
  return parts;
}

function cityBounds() {
  const bounds = settings.peek()?.bounds;
  return bounds ? [[bounds[1], bounds[0]], [bounds[3], bounds[2]]] : null;
}

/** Puts what is known onto the map, each part when it has changed. */
function useParts(drawn, props, source) {
  const { layers, horizon = 0, marked, markers, heat, zones, surge, routes, ends, onEnd, show } = props;
  const shown = [...layers].sort().join();
  const [network, known, seen] = [edges.value, source.roads.value, source.cameras.value];
  useEffect(() => {
    if (!drawn || !network) return;
    drawn.roadsLayer.setEdges(network);
    if (!drawn.fitted) drawn.fitAll();
    drawn.fitted = true;
  }, [drawn, network]);
  useEffect(() => { drawn?.roadsLayer.setRoads(known, horizon); }, [drawn, known, network, horizon]);
  useEffect(() => { drawn?.roadsLayer.mark(known.get(marked)); }, [drawn, known, marked]);
  useEffect(() => { if (drawn && seen) drawn.camerasLayer.setCameras(seen, registered.value, source.now.peek()); }, [drawn, seen, registered.value]);
  // each second: nothing of the component is made anew for that
  useEffect(() => drawn && effect(() => {
    source.version.value;
    drawn.vehiclesLayer.update();
  }), [drawn, source]);
  useEffect(() => { drawn?.markers.set(markers ?? []); }, [drawn, markers]);
  useEffect(() => { if (drawn && heat) drawn.camerasLayer.setHeat(heat); }, [drawn, heat]);
  useEffect(() => { if (drawn && zones) drawn.areas.set("zones", zones); }, [drawn, zones]);
  useEffect(() => { if (drawn && surge) drawn.areas.set("surge", surge); }, [drawn, surge]);
  useEffect(() => { drawn?.routes.setRoutes(routes ?? []); }, [drawn, routes]);
  useEffect(() => { drawn?.routes.setEnds(ends ?? [null, null], onEnd ?? (() => {})); }, [drawn, ends, onEnd]);
  useEffect(() => {
    if (!drawn || !show) return;
    const bounds = boundsOf(show.coordinates);
    if (bounds) drawn.map.fitBounds(bounds, { padding: 70, maxZoom: Math.max(16, drawn.map.getZoom()), duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 500 });
  }, [drawn, show]);
  useEffect(() => {
    if (!drawn) return;
    drawn.roadsLayer.show(layers.has("roads"));
    drawn.camerasLayer.show({ cameras: layers.has("cameras"), heat: layers.has("heat") });
    drawn.areas.show("zones", layers.has("zones"));
    drawn.areas.show("surge", layers.has("surge"));
    Object.assign(drawn.vehiclesLayer.shown, { car: layers.has("cars"), bus: layers.has("transit"), rail: layers.has("transit") });
    drawn.vehiclesLayer.update();
  }, [drawn, shown]);
}
