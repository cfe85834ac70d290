// The live map: the city on one screen, and what is pressed in words beside it.

import { html, useMemo } from "../vendor/preact.mjs";
import { EVENTS } from "../alerts/events.js";
import { useAnswer } from "../live/answers.js";
import { hasFeed } from "../live/settings.js";
import { Flow } from "../components/words.js";
import { setParams } from "../shell/route.js";
import { STEPS } from "../roads/flow.js";
import { t } from "../texts/index.js";
import { cellOf } from "./areas_layer.js";
import { CityMap } from "./city_map.js";
import { Details } from "./details.js";
import { Layers, layersOf } from "./layers.js";
import { markersOf } from "./marked.js";
import { MapTable } from "./map_table.js";
import { Overview } from "./overview.js";
import { useShow } from "./show.js";

export default function LiveMap({ params, kiosk }) {
  const layers = layersOf(params.layers);
  const horizon = Math.min(3, Math.max(0, Number(params.ahead ?? 0) / 10 || 0));
  const chosen = params.kind ? { kind: params.kind, id: params.id } : null;
  const answers = useCity(layers);
  const markers = useMemo(() => markersOf(layers, answers), [params.layers, answers.incidents.body, answers.congestion.body, answers.weather.body, answers.areas.body]);
  const surge = useMemo(() => surgeCells(answers.surge.body), [answers.surge.body]);
  const zones = useMemo(() => (answers.zones.body?.features ?? []).map((zone) => ({ ...zone, properties: { ...zone.properties, id: zone.id } })), [answers.zones.body]);
  const show = useShow(chosen);
  const pick = ({ kind, id }) => setParams(kind === "place" ? { kind: undefined, id: undefined } : { kind, id });
  return html`<div class="live-map">
    <h1 class="unseen">${t("shell.room.map")}</h1>
    <${CityMap} label=${t("map.label")} layers=${layers} horizon=${horizon} marked=${chosen?.kind === "road" ? chosen.id : null}
      markers=${markers} heat=${answers.heat.body?.points} zones=${zones} surge=${surge} show=${show} onPick=${pick} view=${viewOf(params.at)}
      onView=${({ lat, lng, zoom }) => setParams({ at: [lat.toFixed(5), lng.toFixed(5), zoom.toFixed(2)].join() })}>
      <div class="over"><${Layers} layers=${layers} /><${Horizon} horizon=${horizon} /></div>
    <//>
    <aside class="side" aria-label=${t("map.details")}>
      ${chosen && html`<${Details} chosen=${chosen} answers=${answers} horizon=${horizon} zones=${zones} surge=${surge} />`}
      <${Overview} horizon=${horizon} kiosk=${kiosk} hint=${!chosen} />
      ${!kiosk && html`<${MapTable} answers=${answers} horizon=${horizon} which=${params.table} zones=${zones} surge=${surge} />`}
    </aside>
    <footer class="foot"><span class="dim">${t("map.legend")}</span><ul class="legend">${STEPS.map((_, step) => html`<li><${Flow} step=${step} /></li>`)}</ul></footer>
  </div>`;
}

/** What is asked of the city for the layers that are on. */
function useCity(layers) {
  const wanted = (layer, feed, path) => (layers.has(layer) && hasFeed(feed) ? path : null);
  return {
    incidents: useAnswer(wanted("incidents", "incidents", "/api/incidents"), { every: 10_000, all: true }),
    congestion: useAnswer(wanted("congestion", "congestion-events", EVENTS), { every: 10_000 }),
    weather: useAnswer(wanted("weather", "weather", "/api/weather"), { every: 30_000, all: true }),
    areas: useAnswer(wanted("areas", "areas", "/api/areas"), { every: 15_000, all: true }),
    surge: useAnswer(wanted("surge", "rider-windows", "/api/riders/windows"), { every: 15_000, all: true }),
    heat: useAnswer(layers.has("heat") ? "/api/map/heatmap" : null, { every: 10_000 }),
    zones: useAnswer(layers.has("zones") ? "/api/map/zones" : null, { every: 60_000 }),
  };
}

/** Cells in which more riders tapped on than usual; stations lie in cells of their own. */
function surgeCells(rows) {
  return (rows ?? []).filter((row) => row.is_surge && row.geohash).map((row) => ({
    type: "Feature",
    geometry: { type: "Polygon", coordinates: [cellOf(row.geohash)] },
    properties: { name: row.zone, row },
  }));
}

function viewOf(text) {
  const [lat, lng, zoom] = (text ?? "").split(",").map(Number);
  return text && [lat, lng, zoom].every(Number.isFinite) && Math.abs(lat) <= 85 && Math.abs(lng) <= 180 ? { lat, lng, zoom } : null;
}

function Horizon({ horizon }) {
  return html`<label class="horizon" data-estimated=${horizon > 0}>${t("map.horizon")}
    <input type="range" min="0" max="30" step="10" value=${horizon * 10} aria-valuetext=${t(`map.horizon.${horizon}`)}
      onInput=${(event) => setParams({ ahead: event.target.value === "0" ? undefined : event.target.value })} />
    <output>${t(`map.horizon.${horizon}`)}</output>
  </label>`;
}
