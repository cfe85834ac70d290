// System: which workers run, how far behind they are, how old what people see is, what the stores hold.

import { html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { health, NAMES } from "../live/servers.js";
import { Chart } from "../components/chart.js";
import { number } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { ageText, now } from "../shell/times.js";
import { t } from "../texts/index.js";
import { bytesText, Store } from "./stores.js";
import { Workers } from "./workers.js";

const EVERY_MS = 5000;
/** An hour of samples. */
const KEPT = 720;
const OLD_WINDOW_MS = 60_000;

/** What was told since this room was opened, one sample an answer. */
function useSamples(answer) {
  const kept = useRef([]);
  const [, turn] = useState(0);
  useEffect(() => {
    const { body, at } = answer;
    if (!body || kept.current.at(-1)?.at === at) return;
    const sum = (field) => body.workers.reduce((total, worker) => total + worker[field], 0);
    const age = body.newest_window_end ? Math.max(0, (at - Date.parse(body.newest_window_end)) / 1000) : null;
    kept.current = [...kept.current.slice(1 - KEPT), { at, lag: body.lag, records: sum("records_per_second"), requests: sum("requests_per_second"), age }];
    turn((count) => count + 1);
  }, [answer.at]);
  return kept.current;
}

export default function System() {
  const answer = useAnswer("/api/system", { every: EVERY_MS });
  const samples = useSamples(answer);
  const { body } = answer;
  const sum = (field) => body.workers.reduce((total, worker) => total + worker[field], 0);
  const windowAge = body?.newest_window_end ? now.value - Date.parse(body.newest_window_end) : null;
  return html`<div class="room-body">
    <div class="room-title"><h1>${t("shell.room.system")}</h1><span class="dim">${t("system.what")}</span></div>
    <div class="columns">
      <${Panel} title=${t("system.now")} answer=${answer}>${body && html`<${Figures} entries=${[
        [t("system.workers"), number(body.workers.length)],
        [t("system.lag"), number(body.lag), t("system.records")],
        [t("system.throughput"), number(sum("records_per_second"), 1), t("system.per.second")],
        [t("system.requests"), number(sum("requests_per_second"), 1), t("system.per.second")],
        [t("system.sockets"), number(sum("socket_clients"))],
        [t("system.cpu"), number(sum("cpu_cores"), 2), t("system.cores")],
        [t("system.memory"), bytesText(sum("memory_bytes"))],
      ]} />`}<//>
      <${Panel} title=${t("system.latency")}>
        <${Figures} entries=${[[t("system.window.age"), windowAge === null ? "–" : html`<span class=${windowAge > OLD_WINDOW_MS ? "stale-text" : ""}>${ageText(Date.parse(body.newest_window_end))}</span>`]]} />
        <p class="by">${t("system.window.note")}</p><${Servers} />
      <//>
    </div>
    <${Workers} answer=${answer} />
    <${Course} samples=${samples} />
    <div class="columns">
      <${Store} name="Postgres" answer=${answer} store=${body?.postgres} /><${Store} name="Redis" answer=${answer} store=${body?.redis} />
    </div>
  </div>`;
}

function Servers() {
  const known = health.value;
  const word = (name) => (known ? (known[name] ? "up" : "down") : known === null ? "unknown" : "asking");
  return html`<h3>${t("shell.servers")}</h3><ul class="plain servers-list">${NAMES.map((name) => html`<li key=${name} data-up=${word(name)}><b>${name}</b> ${t(`system.server.${word(name)}`)}</li>`)}</ul>`;
}

function Course({ samples }) {
  const times = samples.map(({ at }) => at / 1000);
  const line = (label, field, colour, digits = 0) => ({ label, colour, digits, values: samples.map((sample) => sample[field]) });
  const enough = samples.length > 1;
  const charts = [
    ["records", t("system.throughput"), "--flow-free", t("system.per.second"), 1],
    ["lag", t("system.lag"), "--high", "", 0],
    ["age", t("system.window.age"), "--bus", "s", 1],
  ];
  const columns = [
    { key: "at", title: t("administration.audit.at"), value: (row) => row.at, cell: (row) => ageText(row.at) },
    ...charts.map(([field, title, , , digits]) => ({ key: field, title, number: true, value: (row) => row[field], cell: (row) => number(row[field], digits) })),
  ];
  return html`<${Panel} title=${t("system.course")} of=${t("system.course.of")} empty=${!enough && t("system.course.none")}>
    <div class="thirds">${charts.map(([field, title, colour, unit, digits]) => html`<div key=${field}><h3>${title}</h3><${Chart} label=${title} times=${times} unit=${unit} height=${150} lines=${[line(title, field, colour, digits)]} /></div>`)}</div>
    <details><summary>${t("shell.figures")}</summary><${Table} label=${t("system.course")} columns=${columns} rows=${samples.slice(-60)} keyOf=${(row) => row.at} order=${{ key: "at", down: true }} limit=${20} /></details><//>`;
}
