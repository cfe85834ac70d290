// Public transport: lines straightened, with their vehicles, headways and what is bunched; arrivals of a stop where there is a timetable.

import { html, useMemo } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { settings } from "../live/settings.js";
import { number } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { linkTo, setParams } from "../shell/route.js";
import { Age, now } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Arrivals } from "./arrivals.js";
import { linesOf, placedOn } from "./lines.js";
import { LiveLine, stateOf } from "./live_line.js";
import { Performance } from "./performance.js";
import { PlannedLine } from "./planned_line.js";
import { occupancyText } from "./words.js";

const STALE_MS = 60_000;

export const isOld = (told) => now.value - Date.parse(told.last_updated) > STALE_MS;

export default function Transit({ params }) {
  const vehicles = useAnswer("/api/transit/vehicles", { every: 3000, all: true });
  const routes = useAnswer("/api/transit/routes", { every: 60_000, all: true });
  const planned = settings.value?.has_timetable ?? false;
  const stops = useAnswer(planned ? "/api/transit/stops?limit=10000" : null, { every: 600_000, all: true });
  const runs = useAnswer(planned ? "/api/transit/runs" : null, { every: 10_000, all: true });
  const lines = useMemo(() => linesOf(routes.body ?? []), [routes.body]);
  const all = vehicles.body ?? [];
  const timetabled = [...new Set((runs.body ?? []).map((run) => run.route_id))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const chosen = params.line;
  // what the timetable shows with stops and delays is not shown once more without them
  const onRuns = new Set((runs.body ?? []).map((run) => run.vehicle_id));
  const unplanned = lines.filter((line) => { const there = placedOn(line, all); return !there.length ? !timetabled.length : there.some((one) => !onRuns.has(one.id)); });
  const shown = chosen ? lines.filter((line) => line.id === chosen || line.routeIds.includes(chosen)) : unplanned;
  const count = (state) => (vehicles.body ? number(all.filter((told) => stateOf(told) === state).length) : "–");
  const bunched = lines.reduce((sum, line) => sum + placedOn(line, all).filter((one) => one.spacing === "bunched").length, 0);
  const options = [...new Map([...lines.map((line) => [line.id, line.name]), ...timetabled.map((id) => [id, id])])];
  return html`<div class="room-body">
    <div class="room-title"><h1>${t("shell.room.transit")}</h1>${settings.value && !planned && html`<span class="dim">${t("transit.no.timetable")}</span>`}</div>
    <${Figures} entries=${[[t("transit.state.running"), count("running")], [t("transit.state.missed"), count("missed")], [t("transit.state.broken"), count("broken")], [t("transit.state.stale"), count("stale")], [t("transit.spacing.bunched"), routes.body && vehicles.body ? number(bunched) : "–"]]} />
    <div class="tools"><label class="labelled">${t("transit.line")}<select class="field" value=${chosen ?? ""} onChange=${(event) => setParams({ line: event.target.value })}><option value="">${t("alerts.all")}</option>${options.map(([id, name]) => html`<option value=${id} selected=${id === chosen}>${name}</option>`)}</select></label></div>
    ${planned && html`<${Arrivals} stops=${stops} stop=${params.stop} />`}
    ${timetabled.filter((id) => !chosen || id === chosen).map((id) => html`<${PlannedLine} key=${id} routeId=${id} stop=${params.stop} />`)}
    <div class="stack lines">${shown.map((line) => html`<${LiveLine} key=${line.id} line=${line} vehicles=${all} answer=${vehicles} />`)}
      ${!lines.length && !timetabled.length && html`<${Panel} title=${t("transit.lines")} answer=${routes} empty=${routes.body && t("transit.none")} />`}</div>
    ${planned && html`<${Performance} />`}
    <${All} vehicles=${all} answer=${vehicles} />
  </div>`;
}

function All({ vehicles, answer }) {
  const columns = [
    { key: "id", title: t("map.vehicle"), value: (told) => told.vehicle_id, cell: (told) => html`<a href=${linkTo("map", { kind: "vehicle", id: told.vehicle_id })}>${told.vehicle_id}</a>` },
    { key: "type", title: t("map.kind"), value: (told) => told.type, cell: (told) => told.type },
    { key: "route", title: t("map.route"), value: (told) => told.route_id ?? "", cell: (told) => told.route_id ?? "–" },
    { key: "state", title: t("map.state"), value: stateOf, cell: (told) => t(`transit.state.${stateOf(told)}`) },
    { key: "full", title: t("map.occupancy"), value: (told) => told.occupancy_percentage, cell: occupancyText },
    { key: "off", title: t("map.off.route"), number: true, value: (told) => told.off_route_m, cell: (told) => (told.off_route_m === null ? "–" : `${number(told.off_route_m)} m`) },
    { key: "heard", title: t("map.heard"), value: (told) => Date.parse(told.last_updated), cell: (told) => html`<${Age} iso=${told.last_updated} />` },
  ];
  return html`<${Panel} title=${t("transit.all")} of=${answer.body && vehicles.length} answer=${answer} empty=${answer.body && !vehicles.length && t("transit.none.heard")}>
    <${Table} label=${t("transit.all")} columns=${columns} rows=${vehicles} keyOf=${(told) => told.vehicle_id} order=${{ key: "id" }} limit=${20} /><//>`;
}
