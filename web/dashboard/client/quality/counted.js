// What the worker that answers here has counted of refused, late and lost records since it started.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { t } from "../texts/index.js";

const ABOUT = /_(events_dropped|feed_messages|records_lost|graph_documents_refused)_total$/;
const LABELS = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Samples of the Prometheus text that are about what was not taken, as `{name, labels, value}`. */
export function samplesOf(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const [, name, labels, value] = /^([a-zA-Z_:]\w*)(?:\{(.*)\})?\s+(\S+)/.exec(line) ?? [];
    if (!name || !ABOUT.test(name)) continue;
    found.push({ name: name.replace(/^[a-z0-9]+_/, "").replace(/_total$/, ""), labels: [...(labels ?? "").matchAll(LABELS)].map(([, key, word]) => [key, word]), value: Number(value) });
  }
  return found;
}

export function Counted() {
  const answer = useAnswer("/metrics", { every: 10_000 });
  const rows = typeof answer.body === "string" ? samplesOf(answer.body).filter(({ value }) => value > 0) : [];
  const keyOf = (row) => `${row.name} ${row.labels.join(" ")}`;
  const columns = [
    { key: "name", title: t("quality.counter"), value: (row) => row.name, cell: (row) => row.name.replaceAll("_", " ") },
    { key: "labels", title: t("quality.of.what"), value: (row) => row.labels.join(), cell: (row) => html`<span class="long">${row.labels.map(([key, word]) => `${key}: ${word}`).join(", ")}</span>` },
    { key: "value", title: t("quality.count"), number: true, value: (row) => row.value, cell: (row) => number(row.value) },
  ];
  return html`<${Panel} title=${t("quality.counted")} of=${t("quality.counted.of")} answer=${answer} empty=${answer.body !== null && !rows.length && t("quality.counted.none")}>
    <${Table} label=${t("quality.counted")} columns=${columns} rows=${rows} keyOf=${keyOf} order=${{ key: "value", down: true }} limit=${20} /><//>`;
}
