// One alert: the rule that raised it, what the rule saw, and what a person can do.

import { html, useState } from "../vendor/preact.mjs";
import { ask, identity, tokenAsked } from "../live/api.js";
import { askForAll, open } from "../live/alerts.js";
import { useAnswer } from "../live/answers.js";
import { settings } from "../live/settings.js";
import { Facts, Panel } from "../components/panel.js";
import { Level, Severity } from "../components/words.js";
import { linkTo } from "../shell/route.js";
import { Age, Moment } from "../shell/times.js";
import { say } from "../shell/toasts.js";
import { t, wordOf } from "../texts/index.js";
import { Comments } from "./comments.js";
import { placeOf } from "./list.js";
import { ShelveDialog, WithheldNote } from "./shelves.js";

export function OneAlert({ id }) {
  const answer = useAnswer(`/api/alerts/${encodeURIComponent(id)}`, { every: 10_000 });
  const alert = answer.body && { ...answer.body, ...(open.value?.get(id) ?? {}), withheld: answer.body.withheld };
  const values = Object.entries(answer.body?.values ?? {}).map(([name, value]) => [name.replaceAll("_", " "), value === null ? "–" : String(value)]);
  return html`<${Panel} title=${alert?.title ?? t("alerts.alert")} answer=${answer}>
    ${alert && html`
      <p>${alert.message}</p>
      <${WithheldNote} withheld=${alert.withheld} />
      <${Facts} entries=${[
        [t("alerts.filter.severity"), html`<${Severity} severity=${alert.severity} /> ${alert.congestion_level && html`<${Level} level=${alert.congestion_level} />`}`],
        [t("alerts.where"), placeOf(alert) || "–"],
        [t("alerts.filter.type"), wordOf("alerts.type", alert.alert_type)],
        [t("alerts.since"), html`<${Moment} iso=${alert.triggered_at} /> (<${Age} iso=${alert.triggered_at} />)`],
        alert.alarm_at && !alert.withheld && [t("alerts.told"), html`<${Moment} iso=${alert.alarm_at} />`],
        [t("alerts.ended"), alert.resolved_at ? html`<${Moment} iso=${alert.resolved_at} />` : t("alerts.still.open")],
        alert.acknowledged_by && [t("alerts.filter.acknowledged"), html`${alert.acknowledged_by}, <${Moment} iso=${alert.acknowledged_at} />`],
      ]} />
      <${Actions} alert=${alert} again=${answer.again} />
      <h3>${t("alerts.why")}</h3>
      <${Facts} entries=${[[t("alerts.rule"), html`<code>${answer.body.rule}</code>`], [t("alerts.rule.since"), html`<${Moment} iso=${answer.body.since} />`], [t("alerts.updated"), html`<${Moment} iso=${answer.body.updated_at} />`], ...values]} />
      ${alert.camera_id && html`<p class="by"><a href=${linkTo("map", { kind: "camera", id: alert.camera_id })}>${t("alerts.on.map")}</a> · <a href=${linkTo("cameras", { camera: alert.camera_id })}>${t("cameras.open")}</a></p>`}
      <${Comments} id=${id} />`}
  <//>`;
}

function Actions({ alert, again }) {
  const [busy, setBusy] = useState(false);
  const [shelving, setShelving] = useState(false);
  const may = identity.value.token || settings.value?.acknowledge_needs_token === false;
  const send = async (word, told) => {
    if (!may) {
      tokenAsked.value = t("alerts.sign.in");
      return;
    }
    setBusy(true);
    try {
      const { name } = identity.peek();
      told(await ask(`/api/alerts/${encodeURIComponent(alert.id)}/${word}`, { body: word === "acknowledge" && name ? { admin_id: name } : {} }));
      askForAll();
      again();
    } catch (problem) {
      say(problem.message, { title: alert.title, severity: "WARNING" });
    }
    setBusy(false);
  };
  const acknowledge = () => send("acknowledge", ({ status, acknowledged_by }) => say(status === "acknowledged" ? t("alerts.acknowledged") : t("alerts.acknowledged.before", { name: acknowledged_by }), { title: alert.title }));
  const endable = ["manual", "incident", "camera_silent"].includes(alert.alert_type);
  const shelve = () => {
    if (identity.peek().token) setShelving(true);
    else tokenAsked.value = t("alerts.shelve.sign.in");
  };
  const shelved = (done) => {
    setShelving(false);
    if (done) again();
  };
  if (alert.resolved_at) return null;
  return html`<p class="tools actions">
    ${!alert.acknowledged_by && html`<button type="button" class="button primary" disabled=${busy} onClick=${acknowledge}>${t("alerts.acknowledge")}</button>`}
    ${endable && html`<button type="button" class="button" disabled=${busy} onClick=${() => send("resolve", () => say(t("alerts.resolved"), { title: alert.title }))}>${t("alerts.resolve")}</button>`}
    ${alert.withheld?.how !== "shelved" && html`<button type="button" class="button" onClick=${shelve}>${t("alerts.shelve")}</button>`}
  </p>${shelving && html`<${ShelveDialog} alert=${alert} onDone=${shelved} />`}`;
}
