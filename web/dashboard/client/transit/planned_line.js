// A line by its timetable: stops, headways beside the planned ones, and how late each vehicle is.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number, percent } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { lasting } from "../incidents/clock.js";
import { setParams } from "../shell/route.js";
import { Age } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Diagram } from "./diagram.js";
import { spacingOf } from "./lines.js";
import { Late, Spacing } from "./words.js";

export function PlannedLine({ routeId, stop, fallback }) {
  const answer = useAnswer(`/api/transit/routes/${encodeURIComponent(routeId)}/line`, { every: 5000 });
  const { body } = answer;
  if (!body && answer.problem?.status === 404 && fallback) return fallback;
  if (!body) return html`<${Panel} title=${routeId} answer=${answer} />`;
  return html`<${Panel} title=${body.line || routeId} of=${body.long_name} answer=${answer} empty=${!body.directions.length && t("transit.no.way")}>
    ${body.directions.map((direction) => html`<${Direction} key=${direction.direction_id} direction=${direction} rail=${body.route_type < 3} stop=${stop} />`)}<//>`;
}

const LATE_SECONDS = 300;

function Direction({ direction, rail, stop }) {
  const names = new Map(direction.stops.map((one) => [one.stop_id, one.name]));
  const rows = direction.vehicles.map((one) => ({ ...one, spacing: spacingOf(one.headway_seconds, one.scheduled_headway_seconds) }));
  const label = (one) => [one.vehicle_id, names.get(one.next_stop_id), one.late_seconds > LATE_SECONDS && t("transit.late"), one.spacing && one.spacing !== "regular" && t(`transit.spacing.${one.spacing}`)].filter(Boolean).join(", ");
  const drawn = rows.filter((one) => one.share !== null).map((one) => ({ id: one.vehicle_id, share: one.share, kind: rail ? "rail" : "bus", state: one.late_seconds > LATE_SECONDS ? "late" : "running", spacing: one.spacing, label: label(one) }));
  const columns = [
    { key: "id", title: t("map.vehicle"), value: (one) => one.vehicle_id, cell: (one) => html`${one.vehicle_id} <span class="dim">${one.headsign}</span>` },
    { key: "along", title: t("transit.along"), number: true, value: (one) => one.share, cell: (one) => percent(one.share) },
    { key: "next", title: t("transit.next.stop"), value: (one) => names.get(one.next_stop_id) ?? one.next_stop_id, cell: (one) => html`${names.get(one.next_stop_id) ?? one.next_stop_id} <span class="dim">${t(`transit.run.${one.state}`)}</span>` },
    { key: "late", title: t("transit.punctual"), value: (one) => one.late_seconds, cell: (one) => html`<${Late} seconds=${one.late_seconds} />` },
    { key: "headway", title: t("transit.headway"), value: (one) => one.headway_seconds, cell: (one) => html`<${Spacing} spacing=${one.spacing} headway=${one.headway_seconds} />${one.behind_vehicle_id && html` <span class="dim">${t("transit.planned", { time: lasting(one.scheduled_headway_seconds) })}</span>`}` },
    { key: "people", title: t("map.passengers"), number: true, value: (one) => one.passenger_count, cell: (one) => number(one.passenger_count) },
    { key: "heard", title: t("map.heard"), value: (one) => Date.parse(one.last_updated), cell: (one) => html`<${Age} iso=${one.last_updated} />` },
  ];
  return html`<section><h3>${direction.headsign || t("transit.direction", { n: direction.direction_id ?? "" })}</h3>
    <${Diagram} title=${t("transit.diagram.of", { name: direction.headsign })} vehicles=${drawn} stops=${direction.stops.map((one) => ({ id: one.stop_id, name: one.name, share: one.share }))} from=${direction.stops[0]?.name} to=${direction.stops.at(-1)?.name} chosen=${stop} onStop=${(id) => setParams({ stop: id })} />
    ${rows.length ? html`<${Table} label=${direction.headsign} columns=${columns} rows=${rows} keyOf=${(one) => one.vehicle_id} />` : html`<p class="empty">${t("transit.no.vehicle")}</p>`}</section>`;
}
