// Incidents: what is reported, what is done about it, and how long each step took.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { hasFeed } from "../live/settings.js";
import { number } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { Severity } from "../components/words.js";
import { CityMap } from "../map/city_map.js";
import { markersOf } from "../map/marked.js";
import { linkTo, setParams } from "../shell/route.js";
import { Age } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";
import { Suspected } from "../alerts/events.js";
import { Measures } from "./measures.js";
import { OneIncident } from "./one.js";
import { Report } from "./report.js";

export const OPEN = ["reported", "verified", "responding"];
const LAYERS = new Set(["roads", "incidents"]);
const GRADES = ["low", "medium", "high", "critical"];
const NOTHING = { body: null };

export default function Incidents({ params }) {
  const answer = useAnswer(hasFeed("incidents") ? "/api/incidents?limit=1000" : null, { every: 5000, all: true });
  const all = answer.body ?? [];
  const fits = (told) => (!params.kind || told.kind === params.kind) && (params.state === "all" || (params.state ? told.state === params.state : OPEN.includes(told.state)));
  const shown = all.filter(fits);
  const chosen = all.find((told) => told.incident_id === params.incident);
  const [placed, setPlaced] = useState(null);
  const reporting = params.report === "yes";
  const markers = useMemo(() => {
    const found = markersOf(LAYERS, { incidents: { body: shown }, weather: NOTHING, areas: NOTHING });
    if (reporting && placed) found.push({ kind: "chosen", id: "report", ...placed, text: "+", label: t("incidents.report.place") });
    return found;
  }, [answer.body, params.kind, params.state, reporting, placed]);
  const choose = (id) => setParams({ incident: id, report: undefined });
  const pick = ({ kind, id, lat, lng }) => {
    if (kind === "incident") choose(id);
    else if (reporting && Number.isFinite(lat)) setPlaced({ lat: Number(lat.toFixed(6)), lng: Number(lng.toFixed(6)) });
  };
  const show = useMemo(() => (chosen ? { coordinates: [[chosen.longitude, chosen.latitude]] } : null), [chosen?.incident_id]);
  return html`<div class="room-body">
    <div class="room-title"><h1>${t("shell.room.incidents")}</h1>
      <button type="button" class="button primary" aria-pressed=${reporting} onClick=${() => setParams({ report: reporting ? undefined : "yes", incident: undefined })}>${t("incidents.report")}</button></div>
    <${Counts} all=${all} known=${answer.body !== null} />
    <${Filters} params=${params} all=${all} />
    <div class="two">
      <div class="stack">
        <section class="panel map-panel" aria-label=${t("incidents.map")}><${CityMap} label=${t("incidents.map")} layers=${LAYERS} markers=${markers} onPick=${pick} cursor=${reporting ? "crosshair" : ""} show=${show} /></section>
        <${Panel} title=${t("shell.room.incidents")} of=${answer.body && shown.length} answer=${answer} empty=${answer.body && !shown.length && t(all.length ? "incidents.none.fits" : "incidents.none")}>
          <${List} rows=${shown} chosen=${params.incident} onChoose=${choose} /><//>
        <${SuspectedList} />
        <${Measures} />
      </div>
      <div class=${`stack ${reporting || params.incident ? "first" : ""}`}>
        ${reporting && html`<${Report} placed=${placed} onPlace=${setPlaced} onDone=${() => { setPlaced(null); setParams({ report: undefined, state: undefined }); setTimeout(answer.again, 1500); }} />`}
        ${params.incident && html`<${OneIncident} key=${params.incident} id=${params.incident} told=${chosen} known=${answer.body !== null} again=${answer.again} />`}
        ${!reporting && !params.incident && html`<${Panel} title=${t("map.incident")} empty=${t("incidents.choose")} />`}
      </div>
    </div>
  </div>`;
}

/** Incidents that nobody has reported: a rule saw roads stand of a sudden. */
function SuspectedList() {
  const answer = useAnswer(hasFeed("congestion-events") ? "/api/incidents/suspected" : null, { every: 10_000 });
  const rows = answer.body ?? [];
  return html`<${Panel} title=${t("incidents.suspected")} of=${rows.length || ""} answer=${answer} empty=${answer.body && !rows.length && t("incidents.suspected.none")}>
    <ul class="plain">${rows.map((told) => html`<li key=${`${told.congestion_event_id} ${told.road_id}`}>
      <a href=${linkTo("roads", { road: told.road_id })}>${told.road_name || told.road_id}</a> <span class="dim number"><${Age} iso=${told.since} /></span><br /><${Suspected} told=${told} />
    </li>`)}</ul><//>`;
}

function Counts({ all, known }) {
  const count = (state) => (known ? number(all.filter((told) => told.state === state).length) : "–");
  return html`<${Figures} entries=${[...OPEN, "cleared"].map((state) => [wordOf("incidents.state", state), count(state)])} />`;
}

function Filters({ params, all }) {
  const kinds = [...new Set(all.map((told) => told.kind))].sort();
  const states = [["", t("incidents.open")], ["all", t("alerts.all")], ...[...OPEN, "cleared", "normal", "rejected"].map((state) => [state, wordOf("incidents.state", state)])];
  return html`<div class="tools" role="search">
    <label class="labelled">${t("map.state")}<select class="field" value=${params.state ?? ""} onChange=${(event) => setParams({ state: event.target.value })}>${states.map(([value, text]) => html`<option value=${value} selected=${(params.state ?? "") === value}>${text}</option>`)}</select></label>
    <label class="labelled">${t("map.kind")}<select class="field" value=${params.kind ?? ""} onChange=${(event) => setParams({ kind: event.target.value })}><option value="">${t("alerts.all")}</option>${kinds.map((kind) => html`<option value=${kind} selected=${params.kind === kind}>${wordOf("incidents.kind", kind)}</option>`)}</select></label>
  </div>`;
}

function List({ rows, chosen, onChoose }) {
  const columns = [
    { key: "kind", title: t("map.kind"), value: (told) => told.kind, cell: (told) => html`<button type="button" class="link" onClick=${() => onChoose(told.incident_id)}>${wordOf("incidents.kind", told.kind)}</button>` },
    { key: "severity", title: t("map.severity"), value: (told) => GRADES.indexOf(told.severity), cell: (told) => html`<${Severity} severity=${told.severity} word=${t(`alerts.grade.${told.severity}`)} />` },
    { key: "state", title: t("map.state"), value: (told) => told.state, cell: (told) => wordOf("incidents.state", told.state) },
    { key: "text", title: t("map.description"), value: (told) => told.description, cell: (told) => html`<span class="long">${told.description}</span>` },
    { key: "reports", title: t("incidents.reports"), number: true, value: (told) => told.reports, cell: (told) => number(told.reports) },
    { key: "units", title: t("incidents.units"), value: (told) => told.units.length, cell: (told) => told.units.join(", ") || "–" },
    { key: "since", title: t("incidents.reported.at"), value: (told) => Date.parse(told.reported_at), cell: (told) => html`<${Age} iso=${told.reported_at} />` },
  ];
  return html`<${Table} label=${t("shell.room.incidents")} columns=${columns} rows=${rows} keyOf=${(told) => told.incident_id} chosen=${chosen} order=${{ key: "severity", down: true }} limit=${30} />`;
}
