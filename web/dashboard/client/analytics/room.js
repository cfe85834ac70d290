// Analytics: how the city is by the hour and the day of the week, where it is worst, and two spans beside each other.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { camerasSource, registered } from "../live/cameras.js";
import { HourBars } from "../components/hour_bars.js";
import { kmh, number, percent } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { useSource } from "../components/use_source.js";
import { linkTo, setParams } from "../shell/route.js";
import { timeText, zoneText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Bottlenecks } from "./bottlenecks.js";
import { Compare } from "./compare.js";
import { Corridors, Lanes } from "./corridors.js";
import { Exports, Report } from "./export.js";
import { dayOf, iso, SLOW, spanOf, zone } from "./spans.js";
import { dayName, MEASURES, WeekHeat, weekOf, WeekTable } from "./week.js";

const MINUTE_MS = 60_000;

export default function Analytics({ params }) {
  useSource(camerasSource);
  const [at, setAt] = useState(() => Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
  const span = useMemo(() => spanOf(params, at), [params.hours, params.from, params.to, at, zone()]);
  const query = new URLSearchParams({ from: iso(span.from), to: iso(span.to), tz: zone() });
  const metrics = useAnswer(`/api/analytics/metrics?${query}`, SLOW);
  const hours = useAnswer(`/api/analytics/trends?${query}`, SLOW);
  const roads = useAnswer(`/analytics/trends?${new URLSearchParams({ from: iso(span.from), to: iso(span.to) })}`, SLOW);
  return html`<div class="room-body">
    <div class="room-title"><h1>${t("shell.room.analytics")}</h1><span class="dim">${timeText(span.from, { seconds: false })} – ${timeText(span.to, { seconds: false })} ${zoneText(undefined, span.to)}</span></div>
    <${Span} params=${params} query=${query} onNow=${() => setAt(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS)} />
    <${Summary} answer=${metrics} />
    <${Week} answer=${hours} params=${params} />
    <div class="columns"><${Hourly} hours=${hours} roads=${roads} /><${Compare} params=${params} at=${at} /></div>
    <${Bottlenecks} params=${params} span=${span} measured=${roads.body ? roads.body.hourly_avg_speed.length > 0 : undefined} />
    <${Corridors} params=${params} span=${span} at=${at} />
    <${Lanes} span=${span} />
    <div class="columns"><${WorstCameras} answer=${metrics} /><${WorstRoads} answer=${roads} /></div>
  </div>`;
}

function Span({ params, query, onNow }) {
  const own = Boolean(params.from && params.to);
  const choose = (event) => {
    const { value } = event.target;
    onNow();
    if (value === "own") setParams({ hours: undefined, from: dayOf(Date.now() - 86_400_000), to: dayOf(Date.now()) });
    else setParams({ hours: value === "168" ? undefined : value, from: undefined, to: undefined });
  };
  const chosen = own ? "own" : params.hours ?? "168";
  const day = (name) => html`<label class="labelled">${t(`alerts.${name}`)}<input class="field" type="date" value=${params[name]} onChange=${(event) => event.target.value && setParams({ [name]: event.target.value })} /></label>`;
  return html`<div class="tools">
    <label class="labelled">${t("roads.over")}<select class="field" value=${chosen} onChange=${choose}>${["24", "168", "720"].map((value) => html`<option value=${value} selected=${value === chosen}>${t(`roads.over.${value}`)}</option>`)}<option value="own" selected=${own}>${t("analytics.days")}</option></select></label>
    ${own && html`${day("from")}${day("to")}`}
    <${Report} path=${`/api/analytics/report/pdf?${query}`} name=${`traffic-${dayOf(Date.now())}.pdf`} /></div>`;
}

function Summary({ answer }) {
  const { body } = answer;
  return html`<${Panel} answer=${answer}>${body && html`<${Figures} entries=${[
    [t("analytics.measure.congestion"), number(body.average_congestion, 2)],
    [t("analytics.measure.speed"), number(body.average_speed_kmh, 1), "km/h"],
    [t("analytics.alerts"), number(body.incidents.total_incidents)],
    [t("alerts.severity.CRITICAL"), number(body.incidents.critical)],
    ...(body.healthy_share === null ? [] : [[t("analytics.healthy"), `${number(100 * body.healthy_share, 1)} %`]]),
  ]} />`}<//>`;
}

function Week({ answer, params }) {
  const measure = params.measure in MEASURES ? params.measure : "speed";
  const week = useMemo(() => weekOf(answer.body ?? [], MEASURES[measure].field), [answer.body, measure]);
  const none = answer.body && week.every((row) => row.every((value) => value === null));
  const csv = () => [["hour", ...week.map((_, day) => dayName(day))], Array.from({ length: 24 }, (_, hour) => [hour, ...week.map((row) => row[hour])])];
  const tools = html`<label class="labelled">${t("map.table.which")}<select class="field" value=${measure} onChange=${(event) => setParams({ measure: event.target.value === "speed" ? undefined : event.target.value })}>${Object.keys(MEASURES).map((name) => html`<option value=${name} selected=${name === measure}>${t(`analytics.measure.${name}`)}</option>`)}</select></label><${Exports} name="week" csv=${csv} />`;
  return html`<${Panel} title=${t("analytics.week")} of=${t("analytics.by.cameras")} tools=${tools} answer=${answer} empty=${none && t("analytics.none")}>
    ${answer.body && html`<${WeekHeat} week=${week} measure=${measure} /><${WeekTable} week=${week} measure=${measure} />`}<//>`;
}

function Hourly({ hours, roads }) {
  const speeds = useMemo(() => {
    const values = Array(24).fill(null);
    for (const { hour, speed } of roads.body?.hourly_avg_speed ?? []) values[hour] = speed;
    return values;
  }, [roads.body]);
  const known = speeds.filter((speed) => speed !== null);
  const patterns = roads.body?.rush_hour_patterns ?? [];
  const csv = () => [["hour", "speed_kmh"], speeds.map((speed, hour) => [hour, speed])];
  return html`<${Panel} title=${t("analytics.hourly")} of=${t("analytics.by.roads")} tools=${html`<${Exports} name="hourly-speed" csv=${csv} />`} answer=${roads} empty=${roads.body && !known.length && t("roads.nothing.measured")}>
    ${known.length > 0 && html`<${HourBars} values=${speeds} label=${t("roads.hours.label", { low: kmh(Math.min(...known)), high: kmh(Math.max(...known)) })} unit="km/h" isMarked=${(hour) => patterns.some(({ from_hour: from, to_hour: to }) => hour >= from && hour < to)} />
    <p class="by">${t("roads.hours.note")}</p>
    <details><summary>${t("shell.figures")}</summary><table><thead><tr><th scope="col">${t("roads.hour")}</th><th scope="col" class="number">km/h</th></tr></thead><tbody>${speeds.map((speed, hour) => speed !== null && html`<tr key=${hour}><th scope="row">${hour}–${hour + 1} h</th><td class="number">${number(speed, 1)}</td></tr>`)}</tbody></table></details>`}<//>`;
}

function WorstCameras({ answer }) {
  const rows = answer.body?.top_segments ?? [];
  const columns = [
    { key: "camera", title: t("alerts.filter.camera"), value: (row) => row.camera_id, cell: (row) => html`<a href=${linkTo("cameras", { camera: row.camera_id })}>${registered.value.get(row.camera_id)?.name ?? row.camera_id}</a>` },
    { key: "score", title: t("cameras.score"), number: true, value: (row) => row.avg_congestion_score, cell: (row) => number(row.avg_congestion_score, 2) },
    { key: "severe", title: t("analytics.severe"), number: true, value: (row) => row.severe_minutes, cell: (row) => number(row.severe_minutes, 1) },
    { key: "queue", title: t("cameras.queue"), number: true, value: (row) => row.average_queue_length, cell: (row) => number(row.average_queue_length, 1) },
  ];
  const csv = () => [["camera_id", "road_segment", "avg_congestion_score", "severe_minutes", "average_queue_length"], rows.map((row) => [row.camera_id, row.road_segment, row.avg_congestion_score, row.severe_minutes, row.average_queue_length])];
  return html`<${Panel} title=${t("analytics.worst.cameras")} tools=${html`<${Exports} name="congested-cameras" csv=${csv} picture=${false} />`} answer=${answer} empty=${answer.body && !rows.length && t("analytics.none")}><${Table} label=${t("analytics.worst.cameras")} columns=${columns} rows=${rows} keyOf=${(row) => row.camera_id} /><//>`;
}

function WorstRoads({ answer }) {
  const rows = answer.body?.top_congested_roads ?? [];
  const columns = [
    { key: "road", title: t("roads.road"), value: (row) => row.road_name, cell: (row) => html`<a href=${linkTo("roads", { road: row.road_id })}>${row.road_name}</a>` },
    { key: "jam", title: t("roads.jam"), number: true, value: (row) => row.avg_jam_factor, cell: (row) => number(row.avg_jam_factor, 1) },
    { key: "speed", title: "km/h", number: true, value: (row) => row.avg_speed, cell: (row) => kmh(row.avg_speed) },
    { key: "heavy", title: t("roads.heavy"), number: true, value: (row) => row.high_share, cell: (row) => percent(row.high_share) },
  ];
  const csv = () => [["road_id", "road_name", "avg_jam_factor", "avg_speed", "high_share"], rows.map((row) => [row.road_id, row.road_name, row.avg_jam_factor, row.avg_speed, row.high_share])];
  return html`<${Panel} title=${t("analytics.worst.roads")} tools=${html`<${Exports} name="congested-roads" csv=${csv} picture=${false} />`} answer=${answer} empty=${answer.body && !rows.length && t("roads.nothing.measured")}><${Table} label=${t("analytics.worst.roads")} columns=${columns} rows=${rows} keyOf=${(row) => row.road_id} /><//>`;
}
