// What is expected at a stop.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { setParams } from "../shell/route.js";
import { Moment, now } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Late } from "./words.js";

export function Arrivals({ stops, stop }) {
  const rows = stops.body ?? [];
  const chosen = rows.find((one) => one.stop_id === stop);
  const answer = useAnswer(stop ? `/api/transit/stops/${encodeURIComponent(stop)}/arrivals?minutes=60` : null, { every: 10_000 });
  const find = (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    const found = rows.find((one) => one.stop_id.toLowerCase() === wanted || `${one.name} (${one.stop_id})`.toLowerCase() === wanted);
    if (found) setParams({ stop: found.stop_id });
  };
  const tools = html`<label class="labelled">${t("transit.stop")}<input class="field" type="search" list="stop-names" autocomplete="off" spellcheck=${false} onInput=${find} /></label>
    <datalist id="stop-names">${rows.map((one) => html`<option key=${one.stop_id} value=${`${one.name} (${one.stop_id})`} />`)}</datalist>`;
  const minutes = (row) => Math.max(0, Math.round((Date.parse(row.arrives_at) - now.value) / 60_000));
  const columns = [
    { key: "line", title: t("transit.line"), value: (row) => row.line, cell: (row) => html`<b>${row.line}</b> <span class="dim">${row.headsign}</span>` },
    { key: "in", title: t("transit.in"), number: true, value: (row) => Date.parse(row.arrives_at), cell: (row) => (row.is_cancelled ? html`<s>${t("transit.cancelled")}</s>` : row.is_at_stop ? t("transit.at.stop") : t("routes.minutes", { n: minutes(row) })) },
    { key: "at", title: t("transit.time"), value: (row) => Date.parse(row.arrives_at), cell: (row) => html`<${Moment} iso=${row.arrives_at} seconds=${false} />${row.earliest_at && html` <span class="dim"><${Moment} iso=${row.earliest_at} seconds=${false} />–<${Moment} iso=${row.latest_at} seconds=${false} /></span>`}` },
    { key: "late", title: t("transit.punctual"), value: (row) => row.late_seconds, cell: (row) => html`<${Late} seconds=${row.late_seconds} />` },
    { key: "by", title: t("map.source"), value: (row) => row.source, cell: (row) => t(`transit.source.${row.source}`) },
  ];
  return html`<${Panel} title=${t("transit.arrivals")} of=${chosen?.name} tools=${tools} answer=${stop ? answer : stops} empty=${!stop ? t("transit.choose.stop") : answer.body && !answer.body.length && t("transit.none.expected")}>
    <${Table} label=${t("transit.arrivals")} columns=${columns} rows=${answer.body ?? []} keyOf=${(row) => `${row.trip_id} ${row.start_date} ${row.start_time}`} limit=${15} /><//>`;
}
