// Corridors: speeds over time and distance as a picture, and how reliably they are driven. Lanes: percentile speeds and flows.

import { html, useEffect, useMemo, useRef } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { colourOf, onColours } from "../components/colours.js";
import { number, percent } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { setParams } from "../shell/route.js";
import { timeText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Exports } from "./export.js";
import { iso, zone } from "./spans.js";

const SLOW = { every: 300_000, timeoutMs: 60_000 };
/** Shares of free flow from which a class begins: those between the levels of service of urban streets (HCM 6, exhibit 16-3). */
const CLASSES = [[0.8, "free"], [0.67, "nearly"], [0.5, "slowed"], [0.4, "slow"], [0.3, "very"], [0, "jammed"]];
const [LEFT, RIGHT, TOP, BOTTOM] = [150, 60, 8, 26];
const [LEAST_ROW, MOST_HEIGHT, LINE] = [4, 420, 13];
const TABLE_COLUMNS = 24;

const classOf = (speed, free) => CLASSES.findIndex(([least]) => speed / free >= least);

export function Corridors({ params, span }) {
  const listed = useAnswer("/api/corridors?limit=500", SLOW);
  const corridors = listed.body ?? [];
  const chosen = corridors.find(({ id }) => String(id) === params.corridor) ?? corridors[0];
  const query = new URLSearchParams({ from: iso(span.from), to: iso(span.to) });
  const surface = useAnswer(chosen ? `/api/corridors/${chosen.id}/surface?${query}` : null, SLOW);
  const reliability = useAnswer(chosen ? `/api/corridors/${chosen.id}/reliability?${query}&${new URLSearchParams({ tz: zone() })}` : null, SLOW);
  const choose = (event) => setParams({ corridor: event.target.value });
  const csv = () => [["road_id", "begin_m", "end_m", "free_flow_kmh", ...surface.body.starts], surface.body.roads.map((road, row) => [road.road_id, road.begin_m, road.end_m, road.free_flow_kmh, ...surface.body.speeds_kmh[row]])];
  const tools = chosen && html`<label class="labelled">${t("analytics.corridor")}<select class="field" value=${String(chosen.id)} onChange=${choose}>${corridors.map(({ id, name }) => html`<option value=${String(id)} selected=${id === chosen.id}>${name}</option>`)}</select></label>${surface.body && html`<${Exports} name="corridor" csv=${csv} />`}`;
  const none = listed.body && !chosen && t("analytics.corridor.none");
  const unmeasured = surface.body && surface.body.speeds_kmh.every((row) => row.every((speed) => speed === null));
  return html`<${Panel} title=${t("analytics.corridors")} of=${chosen && t("analytics.corridors.of")} tools=${tools} answer=${chosen ? surface : listed} empty=${none || (unmeasured && t("roads.nothing.measured"))}>
    ${surface.body && html`<${Surface} body=${surface.body} /><${SurfaceTable} body=${surface.body} />`}
    ${reliability.body && html`<${Reliability} found=${reliability.body.reliability} />`}<//>`;
}

function Surface({ body }) {
  const place = useRef(null);
  useEffect(() => {
    const canvas = place.current;
    const draw = () => drawSurface(canvas, body);
    draw();
    const watching = new ResizeObserver(draw);
    watching.observe(canvas.parentElement);
    const stop = onColours(draw);
    return () => { watching.disconnect(); stop(); };
  }, [body]);
  return html`<div class="surface"><canvas ref=${place} role="img" aria-label=${t("analytics.surface.label", { name: body.name, roads: body.roads.length })}></canvas></div>
    <ul class="legend">${CLASSES.map(([least, word], at) => html`<li key=${word}><i class=${`key surface${at}`}></i> ${t(`analytics.surface.${word}`)} ${at ? `< ${percent(CLASSES[at - 1][0])}` : `≥ ${percent(least)}`}</li>`)}<li><i class="key none"></i> ${t("analytics.surface.none")}</li></ul>`;
}

function drawSurface(canvas, { roads, starts, speeds_kmh: speeds }) {
  const width = canvas.parentElement.clientWidth;
  if (!width || !roads.length || !starts.length) return;
  const length = roads.at(-1).end_m;
  const shortest = Math.min(...roads.map((road) => road.end_m - road.begin_m));
  const height = Math.min(Math.max((LEAST_ROW * length) / shortest, roads.length * LINE, 140), MOST_HEIGHT);
  const left = Math.min(LEFT, width * 0.32);
  const plot = width - left - RIGHT;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round((TOP + height + BOTTOM) * scale);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${TOP + height + BOTTOM}px`;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const fills = CLASSES.map((_, at) => colourOf(`--surface-${at}`));
  const [ink, ground] = [colourOf("--ink"), colourOf("--card")];
  pen.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  pen.textBaseline = "middle";
  const y = (metres) => TOP + height - (metres / length) * height;
  let nameBelow = Infinity;
  roads.forEach((road, row) => {
    const [bottom, top] = [y(road.begin_m), y(road.end_m)];
    speeds[row].forEach((speed, step) => {
      const x = left + (step / starts.length) * plot;
      pen.fillStyle = speed === null ? ground : fills[classOf(speed, road.free_flow_kmh)];
      // half a pixel more closes the seams
      pen.fillRect(x, top, plot / starts.length + 0.5, bottom - top + 0.5);
    });
    pen.fillStyle = ink;
    pen.textAlign = "right";
    const middle = (bottom + top) / 2;
    if (middle <= nameBelow) {
      pen.fillText(fitting(pen, road.road_name, left - 10), left - 6, middle);
      nameBelow = middle - LINE;
    }
  });
  pen.textAlign = "left";
  for (const share of [0, 0.5, 1]) pen.fillText(`${number(length * share)} m`, left + plot + 5, y(length * share));
  pen.textAlign = "center";
  const ticks = Math.max(2, Math.floor(plot / 110));
  for (let tick = 0; tick < ticks; tick++) {
    const step = Math.floor((tick * starts.length) / ticks);
    pen.fillText(timeText(Date.parse(starts[step]), { seconds: false }), Math.max(left + (step / starts.length) * plot, left * 0.6), TOP + height + 13);
  }
  pen.strokeStyle = ink;
  pen.lineWidth = 0.8;
  pen.strokeRect(left, TOP, plot, height);
}

function fitting(pen, words, width) {
  if (pen.measureText(words).width <= width) return words;
  let cut = words;
  while (cut && pen.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}

/** The picture in numbers: so many columns at most, each the mean of its steps. */
function SurfaceTable({ body }) {
  const each = Math.ceil(body.starts.length / TABLE_COLUMNS);
  const columns = body.starts.filter((_, at) => at % each === 0);
  const mean = (row, at) => {
    const known = row.slice(at * each, (at + 1) * each).filter((speed) => speed !== null);
    // of equal times over equal lengths: the harmonic mean
    return known.length ? known.length / known.reduce((sum, speed) => sum + 1 / speed, 0) : null;
  };
  return html`<details><summary>${t("shell.figures")}</summary><div class="sideways" tabindex="0" role="region" aria-label=${t("shell.figures")}><table><thead><tr><th scope="col">${t("roads.road")}</th>${columns.map((start) => html`<th scope="col" class="number">${timeText(Date.parse(start), { seconds: false })}</th>`)}</tr></thead>
    <tbody>${body.roads.map((road, row) => html`<tr key=${road.road_id}><th scope="row">${road.road_name}</th>${columns.map((_, at) => html`<td class="number">${number(mean(body.speeds_kmh[row], at), 0)}</td>`)}</tr>`)}</tbody></table></div></details>`;
}

function Reliability({ found }) {
  return html`<${Figures} entries=${[
    [t("analytics.travel.mean"), number(found.mean_seconds, 0), "s"],
    [t("analytics.travel.free"), number(found.free_flow_seconds, 0), "s"],
    [t("analytics.tti"), number(found.travel_time_index, 2)],
    [t("analytics.pti"), number(found.planning_time_index, 2)],
    [t("analytics.buffer"), number(found.buffer_index, 2)],
    ["LOTTR", number(found.lottr, 2)],
    [t("analytics.coverage"), percent(found.coverage)],
  ]} />`;
}

export function Lanes({ span }) {
  const query = new URLSearchParams({ from: iso(span.from), to: iso(span.to) });
  const answer = useAnswer(`/api/analytics/lanes?${query}`, SLOW);
  const rows = useMemo(() => (answer.body?.lanes ?? []).filter((lane) => lane.speeds), [answer.body]);
  const figure = (key, title, digits) => ({ key, title, number: true, value: (row) => row[key], cell: (row) => number(row[key], digits) });
  const columns = [
    { key: "camera", title: t("alerts.filter.camera"), value: (row) => row.camera_id, cell: (row) => row.camera_id },
    { key: "lane", title: t("analytics.lane"), value: (row) => row.lane_id ?? -1, cell: (row) => row.lane_id ?? t("analytics.lane.all") },
    figure("p15_speed_kmh", "P15", 1),
    figure("p50_speed_kmh", "P50", 1),
    figure("p85_speed_kmh", "P85", 1),
    figure("p95_speed_kmh", "P95", 1),
    figure("flow_vehicles_per_hour", t("analytics.flow"), 0),
    figure("headway_seconds", t("analytics.headway"), 1),
  ];
  const names = ["camera_id", "lane_id", "p15_speed_kmh", "p50_speed_kmh", "p85_speed_kmh", "p95_speed_kmh", "flow_vehicles_per_hour", "headway_seconds", "vehicles_in_view"];
  const csv = () => [names, rows.map((row) => names.map((name) => row[name]))];
  return html`<${Panel} title=${t("analytics.lanes")} of=${t("analytics.lanes.of")} tools=${html`<${Exports} name="lanes" csv=${csv} picture=${false} />`} answer=${answer} empty=${answer.body && !rows.length && t("analytics.none")}><${Table} label=${t("analytics.lanes")} columns=${columns} rows=${rows} keyOf=${(row) => `${row.camera_id} ${row.lane_id}`} limit=${12} /><//>`;
}
