// How long incidents take, by kind: FHWA's durations of a span, medians.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { t, wordOf } from "../texts/index.js";
import { lasting } from "./clock.js";

const HOUR_MS = 3_600_000;
const DURATIONS = ["detection", "verification", "response", "clearance", "recovery"];

export function Measures() {
  const [hours, setHours] = useState(24);
  const query = useMemo(() => {
    const to = Math.ceil(Date.now() / 60_000) * 60_000;
    return new URLSearchParams({ from: new Date(to - hours * HOUR_MS).toISOString(), to: new Date(to).toISOString() });
  }, [hours]);
  const answer = useAnswer(`/api/incidents/measures?${query}`, { every: 60_000 });
  const rows = answer.body ?? [];
  const columns = [
    { key: "kind", title: t("map.kind"), value: (row) => row.kind, cell: (row) => wordOf("incidents.kind", row.kind) },
    { key: "count", title: t("incidents.count"), number: true, value: (row) => row.incidents, cell: (row) => number(row.incidents) },
    { key: "over", title: t("incidents.over"), number: true, value: (row) => row.cleared, cell: (row) => number(row.cleared) },
    ...DURATIONS.map((name) => ({ key: name, title: t(`incidents.duration.${name}`), number: true, value: (row) => row[`${name}_seconds`], cell: (row) => lasting(row[`${name}_seconds`]) })),
  ];
  const tools = html`<label class="labelled">${t("roads.over")}<select class="field" value=${hours} onChange=${(event) => setHours(Number(event.target.value))}>${[24, 168, 720].map((value) => html`<option value=${value} selected=${value === hours}>${t(`roads.over.${value}`)}</option>`)}</select></label>`;
  return html`<${Panel} title=${t("incidents.measures")} of=${t("incidents.medians")} tools=${tools} answer=${answer} empty=${answer.body && !rows.length && t("incidents.measures.none")}>
    <${Table} label=${t("incidents.measures")} columns=${columns} rows=${rows} keyOf=${(row) => row.kind} order=${{ key: "count", down: true }} /><//>`;
}
