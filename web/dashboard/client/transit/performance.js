// How lines kept their timetable over a span.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number, percent } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { lasting } from "../incidents/clock.js";
import { setParams } from "../shell/route.js";
import { t } from "../texts/index.js";

const HOUR_MS = 3_600_000;

export function Performance() {
  const [hours, setHours] = useState(24);
  const query = useMemo(() => {
    const to = Math.ceil(Date.now() / 60_000) * 60_000;
    return new URLSearchParams({ from: new Date(to - hours * HOUR_MS).toISOString(), to: new Date(to).toISOString() });
  }, [hours]);
  const answer = useAnswer(`/api/transit/performance?${query}`, { every: 60_000, all: true });
  const rows = answer.body ?? [];
  const columns = [
    { key: "line", title: t("transit.line"), value: (row) => row.route_id, cell: (row) => html`<button type="button" class="link" onClick=${() => setParams({ line: row.route_id })}>${row.route_id}</button> <span class="dim">${row.direction_id ?? ""}</span>` },
    { key: "time", title: t("transit.on.time"), number: true, value: (row) => row.on_time_share, cell: (row) => percent(row.on_time_share) },
    { key: "late", title: t("transit.median.late"), number: true, value: (row) => row.median_late_seconds, cell: (row) => lasting(row.median_late_seconds) },
    { key: "p90", title: t("transit.p90"), number: true, value: (row) => row.p90_late_seconds, cell: (row) => lasting(row.p90_late_seconds) },
    { key: "bunched", title: t("transit.spacing.bunched"), number: true, value: (row) => row.bunched_share, cell: (row) => percent(row.bunched_share) },
    { key: "gaps", title: t("transit.spacing.gap"), number: true, value: (row) => row.gap_share, cell: (row) => percent(row.gap_share) },
    { key: "stops", title: t("transit.served"), number: true, value: (row) => row.stops_served, cell: (row) => number(row.stops_served) },
    { key: "missed", title: t("transit.missed"), number: true, value: (row) => row.runs_missed, cell: (row) => number(row.runs_missed) },
  ];
  const tools = html`<label class="labelled">${t("roads.over")}<select class="field" value=${hours} onChange=${(event) => setHours(Number(event.target.value))}>${[24, 168, 720].map((value) => html`<option value=${value} selected=${value === hours}>${t(`roads.over.${value}`)}</option>`)}</select></label>`;
  return html`<${Panel} title=${t("transit.performance")} tools=${tools} answer=${answer} empty=${answer.body && !rows.length && t("transit.performance.none")}>
    <${Table} label=${t("transit.performance")} columns=${columns} rows=${rows} keyOf=${(row) => `${row.route_id} ${row.direction_id}`} order=${{ key: "time" }} limit=${20} /><//>`;
}
