// The same as on the map, as tables: for who does not see it, and for who wants the figures.

import { html, useMemo } from "../vendor/preact.mjs";
import { cameras, registered } from "../live/cameras.js";
import { roads } from "../live/roads.js";
import { useVehicles } from "../live/vehicles.js";
import { goingOn } from "../alerts/events.js";
import { kmh, number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { Flow, Level, Severity } from "../components/words.js";
import { slownessAt, speedAt, stepAt } from "../roads/flow.js";
import { language } from "../shell/preferences.js";
import { setParams } from "../shell/route.js";
import { Age } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";
import { choose } from "./overview.js";

const NONE = [];
const KINDS = ["roads", "cameras", "cars", "transit", "congestion", "incidents", "weather", "areas", "zones", "surge"];

const pick = (kind, id, text) => html`<button type="button" class="link" onClick=${() => choose(kind, id)}>${text}</button>`;
const place = (digits = 4) => ({ key: "place", title: `${t("map.latitude")}, ${t("map.longitude")}`, cell: ({ lat, lng }) => `${lat.toFixed(digits)}, ${lng.toFixed(digits)}` });

function tableOf(which, { answers, horizon, zones, surge, vehicles }) {
  if (which === "roads") {
    return [roads.value.list ?? NONE, (road) => road.id, [
      { key: "name", title: t("roads.road"), value: (road) => road.name, cell: (road) => pick("road", road.id, road.name) },
      { key: "flow", title: t("roads.flow"), value: (road) => slownessAt(road, horizon), first: (count, down) => roads.value.first?.(horizon, count, down), cell: (road) => html`<${Flow} step=${stepAt(road, horizon)} />` },
      { key: "speed", title: "km/h", number: true, value: (road) => speedAt(road, horizon), cell: (road) => kmh(speedAt(road, horizon)) },
    ]];
  }
  if (which === "cameras") {
    return [[...(cameras.value?.values() ?? [])], (camera) => camera.id, [
      { key: "id", title: t("cameras.camera"), value: (camera) => camera.id, cell: (camera) => pick("camera", camera.id, registered.value.get(camera.id)?.name ?? camera.id) },
      { key: "level", title: t("cameras.level"), value: (camera) => camera.row.congestion_score, cell: (camera) => html`<${Level} level=${camera.row.congestion_level} />` },
      { key: "speed", title: "km/h", number: true, value: (camera) => camera.row.avg_speed_kmh, cell: (camera) => kmh(camera.row.avg_speed_kmh) },
    ]];
  }
  if (which === "cars" || which === "transit") {
    return [vehicles ?? [], (vehicle) => vehicle.id, [
      { key: "id", title: t("map.vehicle"), value: (vehicle) => vehicle.id, cell: (vehicle) => pick("vehicle", vehicle.id, vehicle.id) },
      which === "cars"
        ? { key: "speed", title: "km/h", number: true, value: (vehicle) => vehicle.speedKmh, cell: (vehicle) => kmh(vehicle.speedKmh) }
        : { key: "status", title: t("map.status"), value: (vehicle) => vehicle.told?.status, cell: (vehicle) => wordOf("map.status", vehicle.told?.status) },
      place(),
    ]];
  }
  const rows = { congestion: goingOn(answers.congestion.body), incidents: answers.incidents.body, weather: answers.weather.body, areas: answers.areas.body, zones, surge }[which] ?? [];
  const columns = {
    congestion: [
      { key: "head", title: t("alerts.event.head"), value: (row) => row.head.road_name, cell: (row) => pick("queue-head", row.event_id, row.head.road_name || row.head.road_id) },
      { key: "length", title: t("alerts.event.length"), number: true, value: (row) => row.length_m, cell: (row) => `${number(row.length_m)} m` },
      { key: "since", title: t("map.since"), value: (row) => Date.parse(row.began_at), cell: (row) => html`<${Age} iso=${row.began_at} />` },
    ],
    incidents: [
      { key: "type", title: t("map.incident"), value: (row) => row.incident_type, cell: (row) => pick("incident", row.incident_id, row.incident_type) },
      { key: "severity", title: t("map.severity"), value: (row) => -row.severity_level, cell: (row) => html`<${Severity} severity=${row.severity} word=${wordOf("alerts.grade", row.severity)} />` },
      { key: "since", title: t("map.since"), value: (row) => Date.parse(row.timestamp), cell: (row) => html`<${Age} iso=${row.timestamp} />` },
    ],
    weather: [
      { key: "station", title: t("map.weather"), value: (row) => row.station, cell: (row) => pick("weather", row.station, row.station) },
      { key: "temperature", title: "°C", number: true, value: (row) => row.temperature, cell: (row) => number(row.temperature, 1) },
      { key: "air", title: "AQI", number: true, value: (row) => row.air_quality_index, cell: (row) => number(row.air_quality_index) },
    ],
    areas: [
      { key: "location", title: t("map.area"), value: (row) => row.location, cell: (row) => pick("area", row.stream_id, row.location) },
      { key: "total", title: t("map.in.area"), number: true, value: (row) => row.total_in_area, cell: (row) => number(row.total_in_area) },
    ],
    zones: [
      { key: "name", title: t("map.zone"), value: (row) => row.properties.name, cell: (row) => pick("zone", row.properties.id, row.properties.name) },
      { key: "cameras", title: t("map.zone.cameras"), number: true, value: (row) => row.properties.camera_ids.length, cell: (row) => row.properties.camera_ids.length },
    ],
    surge: [
      { key: "name", title: t("map.surge"), value: (row) => row.properties.name, cell: (row) => pick("surge", row.properties.name, row.properties.name) },
      { key: "taps", title: t("map.taps"), number: true, value: (row) => row.properties.row.tap_count, cell: (row) => number(row.properties.row.tap_count) },
    ],
  }[which];
  return [rows, (row) => row.event_id ?? row.incident_id ?? row.station ?? row.stream_id ?? row.properties.id ?? row.properties.name, columns];
}

export function MapTable({ which, ...what }) {
  const chosen = KINDS.includes(which) ? which : "roads";
  const tools = html`<label class="labelled">${t("map.table.which")}
    <select class="field" value=${chosen} onChange=${(event) => setParams({ table: event.target.value })}>${KINDS.map((kind) => html`<option value=${kind} selected=${kind === chosen}>${t(`map.layer.${kind}`)}</option>`)}</select></label>`;
  const { answers, horizon, zones, surge } = what;
  const vehicles = useVehicles(chosen === "cars" || chosen === "transit" ? chosen : null);
  const of = { roads: roads.value, cameras: cameras.value, cars: vehicles, transit: vehicles, zones, surge }[chosen] ?? answers[chosen]?.body;
  const [rows, keyOf, columns] = useMemo(() => tableOf(chosen, { ...what, vehicles }), [chosen, of, horizon, language.value]);
  return html`<${Panel} title=${t("map.as.table")} tools=${tools} empty=${rows.length === 0 && t("shell.nothing")}>
    <${Table} key=${chosen} label=${t(`map.layer.${chosen}`)} columns=${columns} rows=${rows} of=${of} keyOf=${keyOf} isInPlace limit=${12} order=${{ key: columns[1].key, down: Boolean(columns[1].number) || chosen === "roads" || chosen === "cameras" }} />
  <//>`;
}
