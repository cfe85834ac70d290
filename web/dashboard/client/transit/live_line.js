// A line by what the live table has: no stops, no plan.

import { html } from "../vendor/preact.mjs";
import { isOld } from "./room.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { percent } from "../components/numbers.js";
import { metresText } from "../routes/directions.js";
import { linkTo } from "../shell/route.js";
import { Age } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Diagram } from "./diagram.js";
import { placedOn } from "./lines.js";
import { occupancyText, Spacing } from "./words.js";

export const stateOf = (told) => (told.status === "broken_down" || told.broken_down_since ? "broken" : told.delayed_since ? "missed" : isOld(told) ? "stale" : "running");

export function LiveLine({ line, vehicles, answer }) {
  const placed = placedOn(line, vehicles);
  const drawn = placed.map((one) => ({ ...one, kind: one.told.type === "bus" ? "bus" : "rail", state: stateOf(one.told), label: labelOf(one) }));
  const bunched = placed.filter((one) => one.spacing === "bunched").length;
  const columns = [
    { key: "id", title: t("map.vehicle"), value: (one) => one.id, cell: (one) => html`<a href=${linkTo("map", { kind: "vehicle", id: one.id })}>${one.id}</a>` },
    { key: "share", title: t("transit.along"), number: true, value: (one) => one.share, cell: (one) => percent(one.share) },
    { key: "headway", title: t("transit.headway"), value: (one) => one.headway, cell: (one) => html`<${Spacing} spacing=${one.spacing} headway=${one.headway} />${one.behind && html` <span class="dim">${t("transit.behind", { id: one.behind })}</span>`}` },
    { key: "full", title: t("map.occupancy"), value: (one) => one.told.occupancy_percentage, cell: (one) => occupancyText(one.told) },
    { key: "state", title: t("map.state"), value: (one) => stateOf(one.told), cell: (one) => html`<span class="worker-state" data-state=${STATES[stateOf(one.told)]}>${t(`transit.state.${stateOf(one.told)}`)}</span>` },
    { key: "heard", title: t("map.heard"), value: (one) => Date.parse(one.told.last_updated), cell: (one) => html`<${Age} iso=${one.told.last_updated} />` },
  ];
  const of = `${metresText(line.lengthM)}${line.minutes ? `, ${t("routes.minutes", { n: line.minutes })}` : ""}`;
  return html`<${Panel} title=${line.name} of=${of} answer=${answer} empty=${answer.body && !placed.length && t("transit.no.vehicle")}>
    ${bunched > 0 && html`<p class="by baseline" role="status">${t("transit.bunched", { n: bunched })}</p>`}
    <${Diagram} title=${t("transit.diagram.of", { name: line.name })} vehicles=${drawn} isClosed=${line.isClosed} from=${t("transit.begin")} to=${line.isClosed ? t("transit.begin") : t("transit.end")} />
    <${Table} label=${line.name} columns=${columns} rows=${placed} keyOf=${(one) => one.id} /><//>`;
}

const STATES = { broken: "silent", missed: "silent", stale: "waits", running: "ready" };

const labelOf = (one) => [one.id, percent(one.share), one.spacing && one.spacing !== "regular" && t(`transit.spacing.${one.spacing}`), stateOf(one.told) !== "running" && t(`transit.state.${stateOf(one.told)}`)].filter(Boolean).join(", ");
