// The workers as a table; each with the partitions that it reads.

import { html } from "../vendor/preact.mjs";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { Age, now } from "../shell/times.js";
import { t } from "../texts/index.js";
import { bytesText } from "./stores.js";

/** A worker tells every five seconds. */
const SILENT_MS = 12_000;
const SLOW_LOOP_SECONDS = 0.5;

export function Workers({ answer }) {
  const rows = answer.body?.workers ?? [];
  const partitions = (worker) => worker.reads.reduce((total, topic) => total + topic.partitions.length, 0);
  const columns = [
    { key: "worker", title: t("system.worker"), value: (worker) => worker.worker, cell: (worker) => html`${worker.worker} <span class="dim">${worker.version}</span>` },
    { key: "role", title: t("administration.role"), value: (worker) => worker.role, cell: (worker) => worker.role },
    { key: "state", title: t("map.state"), value: (worker) => stateOf(worker), cell: (worker) => html`<${State} worker=${worker} />` },
    { key: "partitions", title: t("system.partitions"), number: true, value: partitions, cell: (worker) => html`<${Reads} worker=${worker} count=${partitions(worker)} />` },
    { key: "lag", title: t("system.lag"), number: true, value: (worker) => worker.lag, cell: (worker) => number(worker.lag) },
    { key: "records", title: t("system.records.per.second"), number: true, value: (worker) => worker.records_per_second, cell: (worker) => number(worker.records_per_second, 1) },
    { key: "requests", title: t("system.requests.per.second"), number: true, value: (worker) => worker.requests_per_second, cell: (worker) => number(worker.requests_per_second, 1) },
    { key: "sockets", title: t("system.sockets"), number: true, value: (worker) => worker.socket_clients, cell: (worker) => number(worker.socket_clients) },
    { key: "cpu", title: t("system.cpu"), number: true, value: (worker) => worker.cpu_cores, cell: (worker) => number(worker.cpu_cores, 2) },
    { key: "memory", title: t("system.memory"), number: true, value: (worker) => worker.memory_bytes, cell: (worker) => bytesText(worker.memory_bytes) },
    { key: "loop", title: t("system.loop"), number: true, value: (worker) => worker.loop_delay_seconds, cell: (worker) => html`<span class=${worker.loop_delay_seconds > SLOW_LOOP_SECONDS ? "stale-text" : ""}>${number(worker.loop_delay_seconds * 1000)} ms</span>` },
    { key: "since", title: t("system.since"), value: (worker) => Date.parse(worker.started_at), cell: (worker) => html`<${Age} iso=${worker.started_at} />` },
  ];
  return html`<${Panel} title=${t("system.workers")} of=${answer.body && rows.length} answer=${answer} empty=${answer.body && !rows.length && t("system.workers.none")}>
    <${Table} label=${t("system.workers")} columns=${columns} rows=${rows} keyOf=${(worker) => worker.worker} order=${{ key: "role" }} /><//>`;
}

function stateOf(worker) {
  if (now.value - Date.parse(worker.told_at) > SILENT_MS) return "silent";
  if (worker.waits_for.length) return "waits";
  return worker.ready ? "ready" : "starting";
}

function State({ worker }) {
  const state = stateOf(worker);
  return html`<span class="worker-state" data-state=${state}>${t(`system.state.${state}`, { what: worker.waits_for.join(", ") })}</span>`;
}

function Reads({ worker, count }) {
  if (!worker.reads.length) return "–";
  return html`<details class="change"><summary>${number(count)}</summary><table><thead><tr><th scope="col">${t("system.topic")}</th><th scope="col">${t("system.partitions")}</th><th scope="col" class="number">${t("system.lag")}</th></tr></thead>
    <tbody>${worker.reads.map((read) => html`<tr key=${read.topic}><th scope="row">${read.topic}</th><td>${read.partitions.join(", ")}</td><td class="number">${number(read.lag)}</td></tr>`)}</tbody></table></details>`;
}
