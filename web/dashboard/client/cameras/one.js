// One camera on its own: figures, lanes, charts, forecast, alerts.

import { html, useEffect, useMemo, useState } from "../vendor/preact.mjs";
import { cameras, fillWindows, isSilent, registered } from "../live/cameras.js";
import { useAnswer } from "../live/answers.js";
import { Chart } from "../components/chart.js";
import { classesText, number, percent } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Level } from "../components/words.js";
import { AlertList } from "../alerts/list.js";
import { linkTo } from "../shell/route.js";
import { ageText, now } from "../shell/times.js";
import { t } from "../texts/index.js";
import { CameraForecast } from "./forecast.js";
import { Lanes } from "./lanes.js";

export function OneCamera({ id }) {
  const camera = cameras.value?.get(id);
  const place = registered.value.get(id);
  useEffect(() => fillWindows(id), [id, Boolean(camera)]);
  const back = html`<a href=${linkTo("cameras")}>← ${t("cameras.back")}</a>`;
  if (!camera) return html`<div class="room-body"><h1>${place?.name ?? id}</h1><p class="empty">${cameras.value ? t("cameras.unknown", { id }) : t("shell.loading")}</p>${back}</div>`;
  const { row } = camera;
  const silent = isSilent(camera, now.value);
  return html`<div class="room-body">
    <div class="room-title">${back}<h1>${place?.name ?? id}</h1><span class="dim">${id}${place?.road_segment ? ` · ${place.road_segment}` : ""}</span>
      ${Number.isFinite(place?.lat) && html`<a href=${linkTo("map", { kind: "camera", id, at: `${place.lat},${place.lng},16` })}>${t("cameras.on.map")}</a>`}</div>
    <${Panel} title=${t("roads.now")} of=${html`<span class=${silent ? "stale-text" : ""}>${silent ? `${t("cameras.silent.since")}: ` : ""}${ageText(camera.end)}</span>`}>
      <${Figures} entries=${[[t("cameras.level"), html`<${Level} level=${row.congestion_level} />`], [t("cameras.score"), number(row.congestion_score, 2)], [t("cameras.vehicles"), number(row.vehicle_count)], [t("cameras.total.speed"), number(row.avg_speed_kmh, 1), "km/h"], [t("cameras.stopped"), percent(row.stopped_ratio)], [t("cameras.queue"), number(row.queue_length)]]} />
      <p class="by">${classesText(row.counts_by_class)}</p>
    <//>
    <div class="columns"><${Panel} title=${t("cameras.lane")}><${Lanes} camera=${camera} /><//><${Panel}><${CameraForecast} id=${id} table=${true} /><//></div>
    <${History} id=${id} />
    <${CameraAlerts} id=${id} />
  </div>`;
}

const SPANS = { 30: "5s", 180: "1m", 1440: "5m" };

function History({ id }) {
  const [minutes, setMinutes] = useState(30);
  const [until, setUntil] = useState(() => Date.now());
  useEffect(() => {
    const every = setInterval(() => setUntil(Date.now()), minutes > 30 ? 60_000 : 15_000);
    return () => clearInterval(every);
  }, [minutes]);
  const query = new URLSearchParams({ camera_id: id, from: new Date(until - minutes * 60_000).toISOString(), to: new Date(until).toISOString(), step: SPANS[minutes] });
  const answer = useAnswer(`/metrics/history?${query}`, { every: Infinity, timeoutMs: 20_000 });
  const [kept, setKept] = useState(null);
  useEffect(() => { if (answer.body) setKept(answer.body); }, [answer.body]);
  const rows = answer.body ?? kept;
  const times = useMemo(() => (rows ?? []).map((row) => Date.parse(row.window_start) / 1000), [rows]);
  const line = (field, label, colour, digits) => [{ label, values: (rows ?? []).map((row) => row[field]), colour, digits }];
  const tools = html`<label class="labelled">${t("cameras.minutes")}<select class="field" value=${minutes} onChange=${(event) => { setKept(null); setMinutes(Number(event.target.value)); }}>${Object.keys(SPANS).map((span) => html`<option value=${span} selected=${Number(span) === minutes}>${t("cameras.minutes.n", { n: span })}</option>`)}</select></label>`;
  return html`<${Panel} title=${t("cameras.history", { minutes })} tools=${tools} answer=${{ ...answer, body: rows }} empty=${rows && !rows.length && t("cameras.chart.none")}>
    <div class="columns">
      <${Chart} label=${t("cameras.chart.vehicles")} times=${times} lines=${line("vehicle_count", t("cameras.chart.vehicles"), "--accent", 0)} />
      <${Chart} label=${t("cameras.chart.speed")} times=${times} lines=${line("avg_speed_kmh", t("cameras.chart.speed"), "--low", 1)} unit="km/h" />
      <${Chart} label=${t("cameras.chart.score")} times=${times} lines=${line("congestion_score", t("cameras.chart.score"), "--high", 2)} to=${1} />
    </div>
  <//>`;
}

function CameraAlerts({ id }) {
  const answer = useAnswer(`/api/alerts/history?${new URLSearchParams({ camera_id: id, include: "quality", limit: 50 })}`, { every: 15_000 });
  return html`<${Panel} title=${t("cameras.alerts")} answer=${answer} empty=${answer.body?.length === 0 && t("cameras.alerts.none")}><${AlertList} alerts=${answer.body ?? []} /><//>`;
}
