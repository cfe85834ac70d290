// Which cameras and lanes are not to be trusted, why, since when, with the numbers that say so.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { linkTo } from "../shell/route.js";
import { Age } from "../shell/times.js";
import { t } from "../texts/index.js";

const share = (value) => `${number(Math.round(value * 100))} %`;

/** Silent cameras of one area, as one. */
function Outages() {
  const answer = useAnswer("/api/quality/outages", { every: 10_000 });
  const rows = answer.body ?? [];
  if (!rows.length) return null;
  return html`<${Panel} title=${t("quality.outages")} of=${rows.length} answer=${answer}>
    <ul class="plain">${rows.map((row) => html`<li key=${row.outage_id}><b>${t("quality.outage", { cameras: number(row.cameras.length) })}</b> <span class="dim number"><${Age} iso=${row.since} /></span><br /><span class="dim">${row.cameras.join(", ")}</span></li>`)}</ul><//>`;
}

export function SourceHealth() {
  const answer = useAnswer("/quality", { every: 10_000, all: true });
  const rows = answer.body ?? [];
  const count = (state) => (answer.body ? number(rows.filter((row) => row.state === state).length) : "–");
  const columns = [
    { key: "source", title: t("quality.source"), value: (row) => row.source_id, cell: (row) => (row.camera_id === null ? row.source_id : html`<a href=${linkTo("cameras", { camera: row.camera_id })}>${row.lane_id === null ? row.camera_id : t("quality.lane.of", { camera: row.camera_id, lane: row.lane_id })}</a>`) },
    { key: "state", title: t("map.state"), value: (row) => (row.state === "unhealthy" ? 0 : 1), cell: (row) => html`<span class="quality-state" data-state=${row.state === "unhealthy" ? "silent" : "in.time"}>${t(`quality.health.${row.reason ?? "healthy"}`)}</span>` },
    { key: "since", title: t("quality.since"), value: (row) => Date.parse(row.since), cell: (row) => html`<${Age} iso=${row.since} />` },
    { key: "evidence", title: t("quality.evidence"), value: (row) => row.evidence, cell: (row) => html`<span class="long">${row.state === "unhealthy" ? row.evidence : "–"}</span>` },
    ...["completeness", "validity", "timeliness"].map((key) => ({ key, title: t(`quality.${key}`), number: true, value: (row) => row[key], cell: (row) => share(row[key]) })),
  ];
  return html`<${Outages} /><${Figures} entries=${[[t("quality.unhealthy"), count("unhealthy")], [t("quality.healthy"), count("healthy")]]} />
    <${Panel} title=${t("quality.part.health")} of=${answer.body && rows.length} answer=${answer} empty=${answer.body && !rows.length && t("quality.health.none")}>
      <p class="by">${t("quality.health.note")}</p>
      <${Table} label=${t("quality.part.health")} columns=${columns} rows=${rows} keyOf=${(row) => row.source_id} order=${{ key: "state" }} limit=${50} /><//>`;
}
