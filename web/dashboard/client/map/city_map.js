// The map of the city as a component. What draws it is large and comes by itself: figures beside the map do not wait for it.

import { html, useEffect, useLayoutEffect, useState } from "../vendor/preact.mjs";
import { cameras, camerasSource } from "../live/cameras.js";
import { roads, roadsSource } from "../live/roads.js";
import { fleet, vehiclesSource, version } from "../live/vehicles.js";
import { now } from "../shell/times.js";
import { t } from "../texts/index.js";
import { canDraw } from "./drawable.js";

/** What moves and changes, as it is now. Who shows another time gives the same of that one. */
const LIVE = { roads, cameras, fleet: () => fleet, version, now, start: () => [roadsSource.use(), camerasSource.use(), vehiclesSource.use()] };

let loaded = null;

/** The library's own styles, which nothing else needs; the map is drawn without them rather than not at all. */
function styled() {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/vendor/maplibre-gl.css" });
  const done = new Promise((resolve) => { link.onload = link.onerror = resolve; });
  // before ours, which change some of it
  document.head.prepend(link);
  return done;
}

/**
 * @param props.source of roads, cameras and vehicles, `LIVE` unless given; it stays the same.
 * @param props.layers a Set of: roads, cameras, heat, cars, transit, zones, surge; what it lacks is not drawn.
 * @param props.horizon 0..3, tens of minutes ahead.
 * @param props.marked id of a road.
 * @param props.markers as `Markers.set` takes them; `heat`, `zones`, `surge` likewise for their layers.
 * @param props.onPick gets `{kind, id, lat, lng}`; kind is "place" where nothing is.
 * @param props.view `{lat, lng, zoom}` at the begin, null: all roads; `onView` gets it when it was moved.
 * @param props.show a value `{coordinates}`: when it changes, the map goes there.
 */
export function CityMap(props) {
  const source = props.source ?? LIVE;
  const [Drawn, setDrawn] = useState(() => loaded);
  const [problem, setProblem] = useState(null);
  useLayoutEffect(() => {
    const ends = source.start();
    return () => { for (const end of ends) end(); };
  }, [source]);
  useEffect(() => {
    if (Drawn || !canDraw()) return undefined;
    let wanted = true;
    Promise.all([import("./drawn_map.js"), styled()]).then(([{ DrawnMap }]) => {
      loaded = DrawnMap;
      if (wanted) setDrawn(() => DrawnMap);
    }, setProblem);
    return () => { wanted = false; };
  }, []);
  if (Drawn) return html`<${Drawn} ...${props} source=${source} />`;
  const said = !canDraw() ? t("map.cannot") : problem ? t("shell.problem", { why: problem.message }) : t("shell.loading");
  return html`<div class="map-place"><p class="map-said" role="status" aria-busy=${canDraw() && !problem}>${said}</p>${canDraw() && props.children}</div>`;
}
