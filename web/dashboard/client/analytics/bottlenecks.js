// Bottlenecks: roads at which queues begin, those first that cost most.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number, percent } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { linkTo } from "../shell/route.js";
import { Moment } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Exports } from "./export.js";
import { iso, SLOW } from "./spans.js";

/** What the server answers at most. */
const MOST_DAYS = 31;
const DAY_MS = 86_400_000;
const FIELDS = ["road_id", "road_name", "delay_vehicle_hours", "activations", "active_minutes", "longest_minutes", "mean_extent_m", "max_extent_m", "first_active", "last_active", "latitude", "longitude"];

/** @param props.measured whether any road was measured in the span; undefined while nobody knows. */
export function Bottlenecks({ params, span, measured }) {
  const isLong = span.to - span.from > MOST_DAYS * DAY_MS;
  const answer = useAnswer(isLong ? null : `/api/analytics/bottlenecks?${new URLSearchParams({ from: iso(span.from), to: iso(span.to) })}`, SLOW);
  const { body } = answer;
  const rows = body?.bottlenecks ?? [];
  const figure = (key, title, digits = 0) => ({ key, title, number: true, value: (row) => row[key], cell: (row) => number(row[key], digits) });
  const columns = [
    { key: "road", title: t("roads.road"), value: (row) => row.road_name, cell: (row) => html`<a href=${linkTo("roads", { road: row.road_id })}>${row.road_name}</a>` },
    figure("delay_vehicle_hours", t("analytics.bottleneck.delay"), 1),
    figure("activations", t("analytics.bottleneck.times")),
    figure("active_minutes", t("analytics.bottleneck.minutes")),
    figure("longest_minutes", t("analytics.bottleneck.longest")),
    { key: "extent", title: t("analytics.bottleneck.extent"), number: true, value: (row) => row.mean_extent_m, cell: (row) => `${number(row.mean_extent_m)} / ${number(row.max_extent_m)}` },
    { key: "last", title: t("analytics.bottleneck.last"), number: true, value: (row) => Date.parse(row.last_active), cell: (row) => html`<${Moment} iso=${row.last_active} seconds=${false} />` },
    { key: "more", title: t("analytics.travel"), cell: (row) => html`<a href=${linkTo("analytics", { ...params, road: row.road_id })}>${t("analytics.travel.look")}<span class="unseen">: ${t("analytics.travel.of", { name: row.road_name })}</span></a>` },
  ];
  const share = body && percent(body.jam_share);
  const none = body && !rows.length && (measured === false ? t("roads.nothing.measured") : t("analytics.bottleneck.none", { share }));
  const empty = isLong ? t("analytics.bottleneck.long", { days: MOST_DAYS }) : none;
  const csv = () => [FIELDS, rows.map((row) => FIELDS.map((field) => row[field]))];
  return html`<${Panel} title=${t("analytics.bottlenecks")} of=${t("analytics.bottlenecks.of")} tools=${rows.length > 0 && html`<${Exports} name="bottlenecks" csv=${csv} picture=${false} />`} answer=${isLong ? undefined : answer} empty=${empty}>
    <${Table} label=${t("analytics.bottlenecks")} columns=${columns} rows=${rows} keyOf=${(row) => row.road_id} limit=${10} />
    <p class="by">${t("analytics.bottleneck.rule", { share })}</p><//>`;
}
