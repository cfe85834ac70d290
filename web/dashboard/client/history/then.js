// The figures of the time that is shown, in words and tables: what the map has, and the alerts that were open.

import { html } from "../vendor/preact.mjs";
import { registered } from "../live/cameras.js";
import { kmh, number } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { Flow, Level, LEVELS, Severity } from "../components/words.js";
import { STEPS, stepOf, UNKNOWN } from "../roads/flow.js";
import { ageText } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";

const CRAWLS_FROM = STEPS.findIndex((step) => step.name === "jammed");

/** As the summary of the city has them: a camera weighs as many times as it saw vehicles. */
function meansOf(cameras) {
  let [vehicles, speed, seen, score] = [0, 0, 0, 0];
  for (const { row } of cameras) {
    vehicles += row.vehicle_count;
    score += (row.congestion_score ?? 0) * row.vehicle_count;
    if (row.avg_speed_kmh === null) continue;
    speed += row.avg_speed_kmh * row.vehicle_count;
    seen += row.vehicle_count;
  }
  return { vehicles, speed: seen ? speed / seen : null, score: vehicles ? score / vehicles : null };
}

export function Then({ replay }) {
  const { source } = replay;
  source.version.value;
  const cameras = [...(source.cameras.value?.values() ?? [])];
  const roads = [...source.roads.value.values()].filter((road) => road.now);
  const means = meansOf(cameras);
  const jammed = roads.filter((road) => { const step = stepOf(road.now.current_speed, road.freeFlowKmh); return step !== UNKNOWN && step >= CRAWLS_FROM; });
  const alerts = replay.alerts.value;
  const incidents = replay.incidents.value;
  return html`<${Panel} title=${t("history.then")} empty=${!cameras.length && !roads.length && t(replay.waiting.value ? "shell.loading" : "history.nothing")}>
      <${Figures} entries=${[
        [t("map.vehicles.seen"), number(means.vehicles)], [t("map.mean.speed"), number(means.speed, 1), "km/h"], [t("cameras.score"), number(means.score, 2)],
        [t("history.jammed"), number(jammed.length)], [t("map.open.alerts"), number(alerts.length)], [t("history.moving"), number(source.vehicles.size)],
      ]} /><//>
    <${Panel} title=${t("map.open.alerts")} of=${alerts.length} empty=${!alerts.length && t("alerts.none")}>
      <ol class="plain picks scrolled" tabindex="0">${alerts.map((alert) => html`<li key=${alert.id} class="pick alert" data-severity=${alert.severity}><${Severity} severity=${alert.severity} /><span class="grow">${alert.title}</span><span class="dim">${ageText(alert.at, replay.at.peek())}</span></li>`)}</ol><//>
    <${Panel} title=${t("shell.room.incidents")} of=${incidents.length} empty=${!incidents.length && t("incidents.none")}>
      <ol class="plain picks">${incidents.map((told) => html`<li key=${told.incident_id} class="pick"><${Severity} severity=${told.severity} word=${t(`alerts.grade.${told.severity}`)} /><span class="grow">${wordOf("incidents.kind", told.kind)} <span class="dim long">${told.description}</span></span></li>`)}</ol><//>
    <${Tables} cameras=${cameras} roads=${roads} />`;
}

function Tables({ cameras, roads }) {
  const ofCameras = [
    { key: "camera", title: t("alerts.filter.camera"), value: (camera) => camera.id, cell: (camera) => registered.value.get(camera.id)?.name ?? camera.id },
    { key: "level", title: t("cameras.level"), value: (camera) => -LEVELS.indexOf(camera.row.congestion_level), cell: (camera) => html`<${Level} level=${camera.row.congestion_level} />` },
    { key: "vehicles", title: t("cameras.vehicles"), number: true, value: (camera) => camera.row.vehicle_count, cell: (camera) => number(camera.row.vehicle_count) },
    { key: "speed", title: "km/h", number: true, value: (camera) => camera.row.avg_speed_kmh, cell: (camera) => number(camera.row.avg_speed_kmh, 1) },
  ];
  const ofRoads = [
    { key: "road", title: t("roads.road"), value: (road) => road.name, cell: (road) => road.name },
    { key: "flow", title: t("roads.flow"), value: (road) => stepOf(road.now.current_speed, road.freeFlowKmh), cell: (road) => html`<${Flow} step=${stepOf(road.now.current_speed, road.freeFlowKmh)} />` },
    { key: "speed", title: "km/h", number: true, value: (road) => road.now.current_speed, cell: (road) => kmh(road.now.current_speed) },
  ];
  return html`<details class="panel"><summary>${t("shell.room.cameras")} (${cameras.length})</summary><div class="inside"><${Table} label=${t("shell.room.cameras")} columns=${ofCameras} rows=${cameras} keyOf=${(camera) => camera.id} order=${{ key: "level", down: true }} limit=${20} /></div></details>
    <details class="panel"><summary>${t("shell.room.roads")} (${roads.length})</summary><div class="inside"><${Table} label=${t("shell.room.roads")} columns=${ofRoads} rows=${roads} keyOf=${(road) => road.id} order=${{ key: "flow", down: true }} limit=${20} /></div></details>`;
}
