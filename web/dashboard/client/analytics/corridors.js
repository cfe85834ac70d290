// Corridors: speeds over time and distance as a picture, and how reliably they are driven. Lanes: percentile speeds and flows.

import { html, useEffect, useMemo, useRef } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { colourOf, onColours } from "../components/colours.js";
import { number, percent } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { setParams } from "../shell/route.js";
import { timeText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Exports } from "./export.js";
import { iso, SLOW, zone } from "./spans.js";
import { Reliability, subjectOf, TravelTimes } from "./travel_times.js";

/** Shares of free flow from which a class begins: those between the levels of service of urban streets (HCM 6, exhibit 16-3). */
const CLASSES = [[0.8, "free"], [0.67, "nearly"], [0.5, "slowed"], [0.4, "slow"], [0.3, "very"], [0, "jammed"]];
const [LEFT, RIGHT, TOP, BOTTOM] = [150, 60, 8, 26];
const [LEAST_ROW, MOST_HEIGHT, LINE] = [4, 420, 13];
const TABLE_COLUMNS = 24;

const classOf = (speed, free) => CLASSES.findIndex(([least]) => speed / free >= least);

export function Corridors({ params, span, at }) {
  const listed = useAnswer("/api/corridors?limit=500", SLOW);
  const corridors = listed.body ?? [];
  const chosen = corridors.find(({ id }) => String(id) === params.corridor) ?? corridors[0];
  const query = new URLSearchParams({ from: iso(span.from), to: iso(span.to) });
  const fill = params.fill === "yes";
  const surface = useAnswer(chosen ? `/api/corridors/${chosen.id}/surface?${query}${fill ? "&fill=true" : ""}` : null, SLOW);
  const reliability = useAnswer(chosen ? `/api/corridors/${chosen.id}/reliability?${query}&${new URLSearchParams({ tz: zone() })}` : null, SLOW);
  const choose = (event) => setParams({ corridor: event.target.value });
  const csv = () => [["road_id", "begin_m", "end_m", "free_flow_kmh", ...surface.body.starts], surface.body.roads.map((road, row) => [road.road_id, road.begin_m, road.end_m, road.free_flow_kmh, ...surface.body.speeds_kmh[row]])];
  const tools = chosen && html`<label class="labelled">${t("analytics.corridor")}<select class="field" value=${String(chosen.id)} onChange=${choose}>${corridors.map(({ id, name }) => html`<option value=${String(id)} selected=${id === chosen.id}>${name}</option>`)}</select></label>
    <label class="labelled"><input type="checkbox" checked=${fill} onChange=${() => setParams({ fill: fill ? undefined : "yes" })} />${t("analytics.fill")}</label>
    ${surface.body && html`<${Exports} name="corridor" csv=${csv} />`}`;
  const none = listed.body && !chosen && t("analytics.corridor.none");
  const unmeasured = surface.body && surface.body.speeds_kmh.every((row) => row.every((speed) => speed === null));
  return html`<${Panel} title=${t("analytics.corridors")} of=${chosen && t("analytics.corridors.of")} tools=${tools} answer=${chosen ? surface : listed} empty=${none || (unmeasured && t("roads.nothing.measured"))}>
    ${surface.body && html`<${Surface} body=${surface.body} /><${SurfaceTable} body=${surface.body} />`}
    ${reliability.body && html`<${Reliability} found=${reliability.body.reliability} />`}<//>
    <${TravelTimes} params=${params} subject=${subjectOf(params, chosen)} span=${span} at=${at} />`;
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
    <ul class="legend">${CLASSES.map(([least, word], at) => html`<li key=${word}><i class=${`key surface${at}`}></i> ${t(`analytics.surface.${word}`)} ${at ? `< ${percent(CLASSES[at - 1][0])}` : `≥ ${percent(least)}`}</li>`)}<li><i class="key none"></i> ${t("analytics.surface.none")}</li>${body.filled && html`<li><i class="key filled"></i> ${t("analytics.surface.filled")}</li>`}</ul>
    ${body.filled && html`<p class="by baseline">${filledText(body)}</p>`}`;
}

/** What was filled in, by its method; nothing else is reckoned with it. */
function filledText({ filled, starts, roads }) {
  if (!filled.length) return t("analytics.fill.none");
  const counts = ["interpolated", "neighbours", "usual"].map((method) => [method, filled.filter((one) => one.method === method).length]);
  const methods = counts.filter(([, n]) => n).map(([method, n]) => t(`analytics.fill.${method}`, { n: number(n) })).join(", ");
  return t("analytics.fill.said", { n: number(filled.length), all: number(starts.length * roads.length), methods });
}

/** Filled speeds of each road by the number of the step. */
function filledOf({ filled, roads, starts }) {
  const steps = new Map(starts.map((start, at) => [start, at]));
  const rows = new Map(roads.map(({ road_id: id }) => [id, new Map()]));
  for (const { road_id: id, start, filled_kmh: speed } of filled ?? []) rows.get(id)?.set(steps.get(start), speed);
  return rows;
}

/** Stripes of the ground over what was not measured. */
function stripes(pen, ground) {
  const tile = Object.assign(document.createElement("canvas"), { width: 6, height: 6 });
  const brush = tile.getContext("2d");
  brush.strokeStyle = ground;
  brush.lineWidth = 2;
  for (const shift of [-6, 0, 6]) {
    brush.moveTo(shift, 6);
    brush.lineTo(shift + 6, 0);
  }
  brush.stroke();
  return pen.createPattern(tile, "repeat");
}

function drawSurface(canvas, body) {
  const { roads, starts, speeds_kmh: speeds } = body;
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
  const filled = filledOf(body);
  const striped = stripes(pen, ground);
  let nameBelow = Infinity;
  roads.forEach((road, row) => {
    const [bottom, top] = [y(road.begin_m), y(road.end_m)];
    speeds[row].forEach((speed, step) => {
      const x = left + (step / starts.length) * plot;
      const assumed = speed === null ? filled.get(road.road_id).get(step) : undefined;
      const shown = speed ?? assumed;
      // half a pixel more closes the seams
      const cell = [x, top, plot / starts.length + 0.5, bottom - top + 0.5];
      pen.fillStyle = shown === undefined || shown === null ? ground : fills[classOf(shown, road.free_flow_kmh)];
      pen.fillRect(...cell);
      if (assumed === undefined) return;
      pen.fillStyle = striped;
      pen.fillRect(...cell);
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
  const filled = filledOf(body);
  // of equal times over equal lengths: the harmonic mean
  const mean = (known) => (known.length ? known.length / known.reduce((sum, speed) => sum + 1 / speed, 0) : null);
  const cell = (road, row, at) => {
    const measured = body.speeds_kmh[row].slice(at * each, (at + 1) * each).filter((speed) => speed !== null);
    if (measured.length) return number(mean(measured), 0);
    const assumed = [...filled.get(road.road_id)].filter(([step]) => step >= at * each && step < (at + 1) * each).map(([, speed]) => speed);
    return assumed.length ? html`<span class="dim" title=${t("analytics.surface.filled")}>≈ ${number(mean(assumed), 0)}</span>` : "–";
  };
  return html`<details><summary>${t("shell.figures")}</summary><div class="sideways" tabindex="0" role="region" aria-label=${t("shell.figures")}><table><thead><tr><th scope="col">${t("roads.road")}</th>${columns.map((start) => html`<th scope="col" class="number">${timeText(Date.parse(start), { seconds: false })}</th>`)}</tr></thead>
    <tbody>${body.roads.map((road, row) => html`<tr key=${road.road_id}><th scope="row">${road.road_name}</th>${columns.map((_, at) => html`<td class="number">${cell(road, row, at)}</td>`)}</tr>`)}</tbody></table></div></details>`;
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
