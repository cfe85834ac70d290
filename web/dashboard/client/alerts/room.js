// Alerts: what is open, why, who has taken it on, and what there was.

import { html } from "../vendor/preact.mjs";
import { open, sorted } from "../live/alerts.js";
import { useAnswer } from "../live/answers.js";
import { Panel, Waiting } from "../components/panel.js";
import { partOf, Parts } from "../components/parts.js";
import { setParams } from "../shell/route.js";
import { t } from "../texts/index.js";
import { Events } from "./events.js";
import { Handover } from "./handover.js";
import { AlertList } from "./list.js";
import { Load, LoadLine } from "./load.js";
import { OneAlert } from "./one.js";
import { Raise } from "./raise.js";
import { Shelves } from "./shelves.js";

const SEVERITIES = ["EMERGENCY", "CRITICAL", "WARNING"];
const TYPES = ["congestion", "stopped_traffic", "incident", "manual", "camera_silent"];
const HOUR_MS = 3_600_000;

const PARTS = { open: Open, load: Load, shelves: Shelves, handover: Handover };

export default function Alerts({ params }) {
  const parts = Object.keys(PARTS).map((id) => [id, t(`alerts.part.${id}`)]);
  const shown = partOf(parts, params.part);
  const Part = PARTS[shown];
  return html`<div class="room-body">
    <div class="room-title"><h1>${t("shell.room.alerts")}</h1><span class="dim">${t("alerts.count", { n: sorted.value.length })}. ${t("alerts.quality")}</span></div>
    <${Parts} room="alerts" label=${t("shell.room.alerts")} parts=${parts} shown=${shown} />
    <${Part} key=${shown} params=${params} />
  </div>`;
}

function Open({ params }) {
  const all = sorted.value;
  const fits = (alert) => (!params.severity || alert.severity === params.severity)
    && (!params.type || alert.alert_type === params.type)
    && (!params.camera || `${alert.camera_id ?? ""} ${alert.road_segment ?? ""}`.toLowerCase().includes(params.camera.toLowerCase()))
    && (!params.taken || (params.taken === "yes") === Boolean(alert.acknowledged_by));
  const shown = all.filter(fits);
  const choose = (id) => setParams({ alert: id === params.alert ? undefined : id });
  return html`<${LoadLine} />
    <${Filters} params=${params} />
    <div class="two">
      <div class="stack">
        <${Events} onChoose=${choose} chosenAlert=${params.alert} />
        <${Panel} title=${t("alerts.open")} of=${shown.length} empty=${open.value && !shown.length && t(all.length ? "alerts.none.fits" : "alerts.none")}>
          ${open.value ? html`<${AlertList} alerts=${shown} chosen=${params.alert} onChoose=${choose} />` : html`<${Waiting} />`}
        <//>
        <${History} params=${params} onChoose=${choose} />
      </div>
      <div class="stack">
        ${params.alert ? html`<${OneAlert} key=${params.alert} id=${params.alert} />` : html`<${Panel} title=${t("alerts.why")} empty=${t("alerts.choose")} />`}
        <${Raise} />
      </div>
    </div>`;
}

function Choice({ name, label, values, params }) {
  return html`<label class="labelled">${label}<select class="field" value=${params[name] ?? ""} onChange=${(event) => setParams({ [name]: event.target.value })}>
    <option value="">${t("alerts.all")}</option>${values.map(([value, text]) => html`<option value=${value} selected=${params[name] === value}>${text}</option>`)}</select></label>`;
}

function Filters({ params }) {
  return html`<div class="tools" role="search">
    <${Choice} name="severity" label=${t("alerts.filter.severity")} params=${params} values=${SEVERITIES.map((value) => [value, t(`alerts.severity.${value}`)])} />
    <${Choice} name="type" label=${t("alerts.filter.type")} params=${params} values=${TYPES.map((value) => [value, t(`alerts.type.${value}`)])} />
    <${Choice} name="taken" label=${t("alerts.filter.acknowledged")} params=${params} values=${["yes", "no"].map((value) => [value, t(`alerts.${value}`)])} />
    <label class="labelled">${t("alerts.filter.camera")}<input class="field" type="search" value=${params.camera ?? ""} autocomplete="off" spellcheck=${false} onInput=${(event) => setParams({ camera: event.target.value })} /></label>
  </div>`;
}

/** The last hours before the whole minute, so that the same question is asked by all who look. */
function spanOf(hours) {
  const to = Math.ceil(Date.now() / 60_000) * 60_000;
  return { from: new Date(to - hours * HOUR_MS).toISOString(), to: new Date(to).toISOString() };
}

function History({ params, onChoose }) {
  const hours = Number(params.hours ?? 24);
  const query = new URLSearchParams({ ...spanOf(hours), include: "quality", limit: 200 });
  if (params.severity) query.set("severity", params.severity);
  if (params.type) query.set("alert_type", params.type);
  const answer = useAnswer(`/api/alerts/history?${query}`, { every: 30_000 });
  const tools = html`<label class="labelled">${t("roads.over")}<select class="field" value=${hours} onChange=${(event) => setParams({ hours: event.target.value === "24" ? undefined : event.target.value })}>
    ${[24, 168, 720].map((value) => html`<option value=${value} selected=${value === hours}>${t(`roads.over.${value}`)}</option>`)}</select></label>
    <a class="button" href=${`/api/alerts/export?${query}`} download>${t("alerts.export")}</a>`;
  const needle = (params.camera ?? "").toLowerCase();
  const rows = (answer.body ?? []).filter((alert) => !needle || `${alert.camera_id ?? ""} ${alert.road_segment ?? ""}`.toLowerCase().includes(needle));
  return html`<${Panel} title=${t("alerts.history")} tools=${tools} answer=${answer} empty=${answer.body && !rows.length && t("alerts.history.none")}>
    <div class="scrolled" tabindex="0" role="region" aria-label=${t("alerts.history")}><${AlertList} alerts=${rows} chosen=${params.alert} onChoose=${onChoose} /></div>
  <//>`;
}
