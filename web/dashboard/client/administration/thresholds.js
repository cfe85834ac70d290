// Thresholds of the levels: what another choice would change now is seen before it is set.

import { html, useEffect, useState } from "../vendor/preact.mjs";
import { registered } from "../live/cameras.js";
import { useAnswer } from "../live/answers.js";
import { Refused, useAct } from "../components/act.js";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { Level, LEVELS } from "../components/words.js";
import { linkTo } from "../shell/route.js";
import { Moment } from "../shell/times.js";
import { t } from "../texts/index.js";

const NAMES = ["low", "moderate", "high"];
/** The level that begins where each of them ends. */
const BEGINS = { low: "MODERATE", moderate: "HIGH", high: "SEVERE" };
const field = (name) => `congestion_threshold_${name}`;
const SETTLED_MS = 250;

/** A value once it has been the same for a moment. */
function useSettled(value) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const wait = setTimeout(() => setSettled(value), SETTLED_MS);
    return () => clearTimeout(wait);
  }, [value]);
  return settled;
}

export function Thresholds() {
  const inForce = useAnswer("/api/admin/thresholds", { every: 30_000 });
  const [draft, setDraft] = useState(null);
  const set = inForce.body && NAMES.map((name) => inForce.body[field(name)]);
  const values = draft ?? set;
  const changed = draft !== null && NAMES.some((_, at) => draft[at] !== set[at]);
  const ascends = values && values[0] <= values[1] && values[1] <= values[2] && values.every((value) => value > 0 && value < 1);
  const query = useSettled(values && ascends ? String(new URLSearchParams(NAMES.map((name, at) => [field(name), values[at]]))) : null);
  const preview = useAnswer(query && `/api/admin/thresholds/preview?${query}`, { every: 10_000 });
  const { act, busy, problem } = useAct();
  const save = async (event) => {
    event.preventDefault();
    const body = Object.fromEntries(NAMES.map((name, at) => [field(name), values[at]]));
    if (await act("/api/admin/thresholds", { method: "PUT", body }, t("administration.thresholds.set"))) {
      setDraft(null);
      inForce.again();
    }
  };
  return html`<div class="columns">
    <${Panel} title=${t("administration.part.thresholds")} answer=${inForce}>${values && html`
      <form onSubmit=${save} class="thresholds">
        <p class="dim">${t("administration.thresholds.what")}</p>
        ${NAMES.map((name, at) => html`<${Boundary} key=${name} level=${BEGINS[name]} value=${values[at]} onChange=${(value) => setDraft(values.map((other, position) => (position === at ? value : other)))} />`)}
        <${Scale} values=${values} />
        ${!ascends && html`<p class="told" role="alert">${t("administration.thresholds.ascend")}</p>`}
        <p class="by">${inForce.body.set_by ? html`${t("administration.thresholds.by", { name: inForce.body.set_by })} <${Moment} iso=${inForce.body.set_at} />` : t("administration.thresholds.settings")}</p>
        <p class="tools actions"><button class="button primary" disabled=${busy || !changed || !ascends}>${t("administration.thresholds.save")}</button>
          <button type="button" class="button" disabled=${!changed} onClick=${() => setDraft(null)}>${t("administration.reset")}</button></p>
        <${Refused} problem=${problem} />
      </form>`}<//>
    <${Preview} answer=${preview} changed=${changed} />
  </div>`;
}

function Boundary({ level, value, onChange }) {
  const told = (event) => { if (event.target.value !== "") onChange(Number(event.target.value)); };
  return html`<div class="boundary"><span>${t("administration.thresholds.from")} <${Level} level=${level} /></span>
    <input type="range" min="0.01" max="0.99" step="0.01" value=${value} aria-label=${`${t("administration.thresholds.from")} ${t(`shell.level.${level}`)}`} onInput=${told} />
    <input class="field" type="number" min="0.01" max="0.99" step="0.01" value=${value} aria-label=${`${t("administration.thresholds.from")} ${t(`shell.level.${level}`)}`} onInput=${told} /></div>`;
}

/** The four levels along the score, as wide as they are. */
function Scale({ values }) {
  const ends = [0, ...values.map((value) => Math.min(1, Math.max(0, value))), 1];
  return html`<div class="scale" aria-hidden="true">${["LOW", "MODERATE", "HIGH", "SEVERE"].map((level, at) => html`<i data-level=${level} style=${{ flexGrow: String(Math.max(0, ends[at + 1] - ends[at]) || 0.0001) }}></i>`)}</div>`;
}

function Preview({ answer, changed }) {
  const { body } = answer;
  const shown = LEVELS.filter((level) => body && (body.now[level] || body.then[level]));
  const most = body ? Math.max(1, ...shown.flatMap((level) => [body.now[level] ?? 0, body.then[level] ?? 0])) : 1;
  const bar = (count, level) => html`<span class="counted"><span class="bar" data-level=${level}><i style=${{ width: `${(100 * count) / most}%` }}></i></span>${number(count)}</span>`;
  const columns = [
    { key: "camera", title: t("alerts.filter.camera"), value: (row) => row.camera_id, cell: (row) => html`<a href=${linkTo("cameras", { camera: row.camera_id })}>${registered.value.get(row.camera_id)?.name ?? row.camera_id}</a>` },
    { key: "score", title: t("cameras.score"), number: true, value: (row) => row.congestion_score, cell: (row) => number(row.congestion_score, 2) },
    { key: "now", title: t("administration.now"), value: (row) => LEVELS.indexOf(row.congestion_level), cell: (row) => html`<${Level} level=${row.congestion_level} />` },
    { key: "then", title: t("administration.then"), value: (row) => LEVELS.indexOf(row.would_be), cell: (row) => html`<${Level} level=${row.would_be} />` },
  ];
  return html`<${Panel} title=${t("administration.preview")} of=${body && t("administration.preview.of", { n: body.cameras })} answer=${answer} empty=${body && !body.cameras && t("administration.preview.none")}>${body && html`
    <p role="status"><b>${body.changes.length ? t("administration.preview.changes", { n: body.changes.length }) : t(changed ? "administration.preview.same" : "administration.preview.move")}</b></p>
    <table><thead><tr><th scope="col">${t("cameras.level")}</th><th scope="col">${t("administration.now")}</th><th scope="col">${t("administration.then")}</th></tr></thead>
      <tbody>${shown.map((level) => html`<tr key=${level}><th scope="row"><${Level} level=${level} /></th><td>${bar(body.now[level] ?? 0, level)}</td><td>${bar(body.then[level] ?? 0, level)}</td></tr>`)}</tbody></table>
    ${body.changes.length > 0 && html`<${Table} label=${t("administration.preview")} columns=${columns} rows=${body.changes} keyOf=${(row) => row.camera_id} order=${{ key: "score", down: true }} limit=${30} />`}`}
  <//>`;
}
