// Messages that were refused, in place: why, and what was sent.

import { html, useState } from "../vendor/preact.mjs";
import { tokenAsked } from "../live/api.js";
import { useAnswer } from "../live/answers.js";
import { number } from "../components/numbers.js";
import { Facts, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { setParams } from "../shell/route.js";
import { Age, Moment } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";

export function Refusals({ params }) {
  const query = new URLSearchParams({ limit: 100 });
  for (const name of ["topic", "reason"]) if (params[name]) query.set(name, params[name]);
  // whoever may not read them is asked for a token once, not every few seconds
  const caller = useAnswer("/api/caller", { every: 60_000 });
  const may = caller.body && ["operator", "admin"].includes(caller.body.role);
  const open = useAnswer(may ? `/api/dead-letters?${query}` : null, { every: 10_000, timeoutMs: 20_000 });
  const [chosen, setChosen] = useState(null);
  if (caller.body && !may) return html`<${Panel} title=${t("quality.part.refused")}><p>${t("quality.refused.token")}</p><p class="tools actions"><button type="button" class="button primary" onClick=${() => { tokenAsked.value = t("quality.refused.token"); }}>${t("shell.sign.in")}</button></p><//>`;
  const rows = open.body ?? [];
  const keyOf = (row) => `${row.topic}-${row.partition}-${row.offset}-${row.reason}`;
  const letter = rows.find((row) => keyOf(row) === chosen);
  const columns = [
    { key: "reason", title: t("quality.reason"), value: (row) => row.reason, cell: (row) => html`<button type="button" class="link" onClick=${() => setChosen(keyOf(row))}>${wordOf("quality.reason", row.reason)}</button>` },
    { key: "detail", title: t("quality.detail"), value: (row) => row.detail, cell: (row) => html`<span class="long">${row.detail.length > 160 ? `${row.detail.slice(0, 160)} …` : row.detail}</span>` },
    { key: "topic", title: t("system.topic"), value: (row) => row.topic, cell: (row) => row.topic },
    { key: "key", title: t("quality.key"), value: (row) => row.key ?? "", cell: (row) => html`<span class="long">${row.key ?? "–"}</span>` },
    { key: "at", title: t("administration.audit.at"), value: (row) => Date.parse(row.timestamp), cell: (row) => html`<${Age} iso=${row.timestamp} />` },
  ];
  return html`<form class="tools" role="search" onSubmit=${(event) => { event.preventDefault(); const given = new FormData(event.target); setParams({ topic: given.get("topic").trim(), reason: given.get("reason").trim() }); }}>
      <label class="labelled">${t("system.topic")}<input class="field" name="topic" value=${params.topic ?? ""} maxlength="249" spellcheck=${false} /></label>
      <label class="labelled">${t("quality.reason")}<input class="field" name="reason" value=${params.reason ?? ""} maxlength="64" list="refusal-reasons" spellcheck=${false} /></label>
      <datalist id="refusal-reasons">${[...new Set(rows.map((row) => row.reason))].map((reason) => html`<option value=${reason} />`)}</datalist>
      <button class="button">${t("administration.audit.find")}</button></form>
    <div class="two">
      <${Panel} title=${t("quality.part.refused")} of=${open.body && rows.length} answer=${caller.body ? open : caller} empty=${open.body && !rows.length && t("quality.refused.none")}>
        <${Table} label=${t("quality.part.refused")} columns=${columns} rows=${rows} keyOf=${keyOf} chosen=${chosen} order=${{ key: "at", down: true }} limit=${40} /><//>
      <div class=${`stack ${letter ? "first" : ""}`}>${letter ? html`<${Letter} letter=${letter} />` : html`<${Panel} title=${t("quality.message")} empty=${t("quality.choose")} />`}</div>
    </div>`;
}

/** JSON in lines of its own, other text as it is. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Letter({ letter }) {
  return html`<${Panel} title=${t("quality.message")}>
    <p><b>${wordOf("quality.reason", letter.reason)}</b> <code>${letter.reason}</code></p><p class="long">${letter.detail}</p>
    <${Facts} entries=${[
      [t("system.topic"), letter.topic], [t("quality.where"), `${letter.partition} / ${letter.offset}`], [t("administration.audit.at"), html`<${Moment} iso=${letter.timestamp} />`],
      letter.key !== null && [t("quality.key"), html`<code class="long">${letter.key}</code>`],
      letter.events > 0 && [t("quality.events"), number(letter.events)],
      letter.value_bytes !== null && [t("quality.bytes"), number(letter.value_bytes)],
    ]} />
    <h3>${t("quality.sent")}</h3>
    ${letter.value === null ? html`<p class="empty">${t("quality.no.value")}</p>` : html`<pre class="message" tabindex="0">${pretty(letter.value)}</pre>`}
    ${!letter.is_whole && html`<p class="by">${t("quality.not.whole")}</p>`}<//>`;
}
