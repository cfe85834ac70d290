// One incident: what is known, its clock, and what an operator can do where it stands.

import { html, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Refused, useAct } from "../components/act.js";
import { number } from "../components/numbers.js";
import { Facts, Panel } from "../components/panel.js";
import { Severity } from "../components/words.js";
import { metresText } from "../routes/directions.js";
import { linkTo } from "../shell/route.js";
import { Moment } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";
import { Clock, lasting } from "./clock.js";

/** In which states an action means something, as the server has it. */
const POSSIBLE = { confirm: ["reported"], reject: ["reported"], clear: ["reported", "verified", "responding"], reopen: ["cleared"], normal: ["cleared"] };
const DISPATCHED = ["reported", "verified", "responding"];
/** What was queued takes effect within seconds. */
const LOOK_AGAIN_MS = [800, 2500, 6000];

export function OneIncident({ id, told, known, again }) {
  const { act, busy, problem } = useAct();
  const send = async (word, body = {}) => {
    if (!(await act(`/api/incidents/${encodeURIComponent(id)}/${word}`, { body }, t("incidents.queued")))) return;
    for (const after of LOOK_AGAIN_MS) setTimeout(again, after);
  };
  if (!told) return html`<${Panel} title=${t("map.incident")} empty=${known ? t("incidents.gone") : t("shell.loading")} />`;
  return html`<${Panel} title=${wordOf("incidents.kind", told.kind)} of=${told.is_emergency ? t("incidents.emergency") : ""}>
    ${told.description && html`<p class="long">${told.description}</p>`}
    <${Facts} entries=${[
      [t("map.severity"), html`<${Severity} severity=${told.severity} word=${t(`alerts.grade.${told.severity}`)} /> <span class="dim">${told.severity_level} / 5</span>`],
      [t("map.state"), html`<b>${wordOf("incidents.state", told.state)}</b>${told.closed ? `, ${t("incidents.closed")}` : ""}`],
      [t("incidents.happened"), html`<${Moment} iso=${told.timestamp} />`],
      [t("incidents.reports"), `${number(told.reports)} (${told.sources.map((source) => wordOf("incidents.source", source)).join(", ")})`],
      told.verified_by && [t("incidents.verified.by"), wordOf("incidents.source", told.verified_by)],
      told.units.length > 0 && [t("incidents.units"), told.units.join(", ")],
      told.cleared_by && [t("incidents.cleared.by"), wordOf("incidents.source", told.cleared_by)],
      told.reopened > 0 && [t("incidents.reopened"), number(told.reopened)],
      ["id", html`<code class="long">${told.incident_id}</code>`],
    ]} />
    <${Clock} told=${told} />
    <${Actions} told=${told} busy=${busy} onSend=${send} />
    <${Refused} problem=${problem} />
    ${DISPATCHED.includes(told.state) && html`<${Units} told=${told} busy=${busy} onSend=${send} />`}
    <p class="by"><a href=${linkTo("map", { kind: "incident", id, at: `${told.latitude},${told.longitude},16` })}>${t("alerts.on.map")}</a></p>
  <//>`;
}

function Actions({ told, busy, onSend }) {
  const [level, setLevel] = useState("");
  const can = (word) => POSSIBLE[word].includes(told.state);
  const words = Object.keys(POSSIBLE).filter(can);
  if (!words.length) return html`<p class="by">${t("incidents.nothing.to.do")}</p>`;
  return html`<p class="tools actions">
    ${can("confirm") && html`<label class="labelled">${t("map.severity")}<select class="field" value=${level} onChange=${(event) => setLevel(event.target.value)}><option value="">${t("incidents.as.reported")}</option>${[1, 2, 3, 4, 5].map((value) => html`<option value=${value}>${value}</option>`)}</select></label>`}
    ${words.map((word) => html`<button type="button" key=${word} class=${`button ${word === "confirm" ? "primary" : ""}`} disabled=${busy} onClick=${() => onSend(word, word === "confirm" && level ? { severity: Number(level) } : {})}>${t(`incidents.act.${word}`)}</button>`)}</p>`;
}

/** Who gets there first, on the roads as they are. */
function Units({ told, busy, onSend }) {
  const answer = useAnswer(`/api/incidents/${encodeURIComponent(told.incident_id)}/units?limit=5`, { every: 20_000 });
  const units = answer.body ?? [];
  const none = answer.problem?.status === 404 ? answer.problem.message : t("incidents.units.none");
  return html`<h3>${t("incidents.nearest")}</h3>
    ${answer.problem && !answer.body ? html`<p class="empty" role="status">${none}</p>` : !answer.body ? html`<p class="dim" role="status">${t("shell.loading")}</p>`
      : !units.length ? html`<p class="empty">${none}</p>` : html`<ol class="plain picks">${units.map((unit, at) => html`<li key=${unit.unit_id} class="pick">
        <span class="grow"><b>${unit.unit_id}</b> <span class="dim">${unit.unit_type}</span></span>
        <span class="number">${lasting(unit.eta_seconds)}, ${metresText(unit.distance_m)}</span>
        ${told.units.includes(unit.unit_id) ? html`<span class="dim">${t("incidents.sent")}</span>` : html`<button type="button" class=${`button ${at === 0 ? "primary" : ""}`} disabled=${busy} onClick=${() => onSend("respond", { unit_id: unit.unit_id })}>${t("incidents.send")}</button>`}</li>`)}</ol>`}
    <${OtherUnit} busy=${busy} onSend=${onSend} />`;
}

function OtherUnit({ busy, onSend }) {
  const submit = (event) => {
    event.preventDefault();
    const unit = new FormData(event.target).get("unit").trim();
    onSend("respond", unit ? { unit_id: unit } : {});
    event.target.reset();
  };
  return html`<form class="tools actions" onSubmit=${submit}><label class="labelled">${t("incidents.other.unit")}<input class="field" name="unit" maxlength="256" /></label><button class="button" disabled=${busy}>${t("incidents.act.respond")}</button></form>`;
}
