// A word to everybody who watches.

import { html, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Refused, useAct } from "../components/act.js";
import { Facts, Panel } from "../components/panel.js";
import { Severity } from "../components/words.js";
import { Moment } from "../shell/times.js";
import { t } from "../texts/index.js";

export function Broadcast() {
  const zones = useAnswer("/api/map/zones", { every: 60_000 });
  const { act, busy, problem } = useAct();
  const [sent, setSent] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    const given = Object.fromEntries([...new FormData(form)].map(([name, text]) => [name, text.trim() || null]));
    const told = await act("/api/admin/notifications/broadcast", { body: given }, t("administration.broadcast.sent"));
    if (!told) return;
    setSent(told);
    form.reset();
  };
  return html`<div class="columns">
    <${Panel} title=${t("administration.part.broadcast")}><form class="fields bare" onSubmit=${submit}>
      <p class="dim">${t("administration.broadcast.what")}</p>
      <label class="labelled">${t("administration.broadcast.message")}<textarea class="field" name="message" rows="4" required maxlength="4096"></textarea></label>
      <label class="labelled">${t("alerts.raise.title")}<input class="field" name="title" maxlength="200" /></label>
      <label class="labelled">${t("alerts.filter.severity")}<select class="field" name="severity">${["WARNING", "CRITICAL", "EMERGENCY"].map((value) => html`<option value=${value}>${t(`alerts.severity.${value}`)}</option>`)}</select></label>
      <label class="labelled">${t("cameras.zone")}<select class="field" name="zone"><option value="">${t("alerts.all")}</option>${(zones.body?.features ?? []).map(({ properties: { name } }) => html`<option value=${name}>${name}</option>`)}</select></label>
      <label class="labelled">${t("alerts.raise.camera")}<input class="field" name="camera_id" maxlength="256" /></label>
      <p class="tools"><button class="button primary" disabled=${busy}>${t("administration.broadcast.send")}</button></p>
      <${Refused} problem=${problem} />
    </form><//>
    <${Panel} title=${t("administration.broadcast.last")} empty=${!sent && t("administration.broadcast.none")}>${sent && html`
      <p>${sent.message}</p>
      <${Facts} entries=${[[t("alerts.raise.title"), sent.title], [t("alerts.filter.severity"), html`<${Severity} severity=${sent.severity} />`], [t("administration.broadcast.by"), sent.sent_by], [t("administration.broadcast.at"), html`<${Moment} iso=${sent.sent_at} />`]]} />`}<//>
  </div>`;
}
