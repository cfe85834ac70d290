// The audit log: who changed what, what was before and what is after.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { setParams } from "../shell/route.js";
import { Moment } from "../shell/times.js";
import { t } from "../texts/index.js";

const HOUR_MS = 3_600_000;

export function Audit({ params }) {
  const hours = Number(params.hours ?? 168);
  const [since, setSince] = useState(() => Math.floor(Date.now() / 60_000) * 60_000);
  const query = useMemo(() => {
    const asked = new URLSearchParams({ from: new Date(since - hours * HOUR_MS).toISOString(), limit: 500 });
    for (const name of ["actor", "action"]) if (params[name]) asked.set(name, params[name]);
    return asked;
  }, [hours, since, params.actor, params.action]);
  const answer = useAnswer(`/api/admin/audit?${query}`, { every: 15_000 });
  const rows = answer.body ?? [];
  const columns = [
    { key: "at", title: t("administration.audit.at"), value: (row) => Date.parse(row.at), cell: (row) => html`<${Moment} iso=${row.at} />` },
    { key: "actor", title: t("administration.audit.who"), value: (row) => row.actor, cell: (row) => html`${row.actor} <span class="dim">${row.role}</span>` },
    { key: "action", title: t("administration.audit.action"), value: (row) => row.action, cell: (row) => html`<code>${row.action}</code>` },
    { key: "target", title: t("administration.audit.target"), value: (row) => row.target, cell: (row) => html`<span class="long">${row.target}</span>` },
    { key: "change", title: t("administration.audit.change"), cell: (row) => html`<${Change} row=${row} />` },
    { key: "remote", title: t("administration.audit.from"), value: (row) => row.remote ?? "", cell: (row) => row.remote ?? "–" },
  ];
  const tools = html`<form class="tools" onSubmit=${(event) => { event.preventDefault(); const given = new FormData(event.target); setParams({ actor: given.get("actor").trim(), action: given.get("action").trim() }); }}>
    <label class="labelled">${t("administration.audit.who")}<input class="field" name="actor" value=${params.actor ?? ""} maxlength="128" /></label>
    <label class="labelled">${t("administration.audit.action")}<input class="field" name="action" value=${params.action ?? ""} placeholder="thresholds.update" maxlength="128" /></label>
    <label class="labelled">${t("roads.over")}<select class="field" value=${hours} onChange=${(event) => { setSince(Math.floor(Date.now() / 60_000) * 60_000); setParams({ hours: event.target.value === "168" ? undefined : event.target.value }); }}>
      ${[24, 168, 720].map((value) => html`<option value=${value} selected=${value === hours}>${t(`roads.over.${value}`)}</option>`)}</select></label>
    <button class="button">${t("administration.audit.find")}</button></form>`;
  return html`${tools}<${Panel} title=${t("administration.part.audit")} of=${rows.length || ""} answer=${answer} empty=${answer.body && !rows.length && t("administration.audit.none")}>
    <${Table} label=${t("administration.part.audit")} columns=${columns} rows=${rows} keyOf=${(row) => row.id} order=${{ key: "at", down: true }} /><//>`;
}

function Change({ row }) {
  const text = (value) => (value === null ? "–" : JSON.stringify(value, null, 1));
  return html`<details class="change"><summary>${t("administration.audit.show")}</summary><dl><dt>${t("administration.audit.before")}</dt><dd><pre>${text(row.before)}</pre></dd><dt>${t("administration.audit.after")}</dt><dd><pre>${text(row.after)}</pre></dd></dl></details>`;
}
