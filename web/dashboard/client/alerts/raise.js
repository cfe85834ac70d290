// Raises an alert by hand.

import { html, useState } from "../vendor/preact.mjs";
import { ask, identity, tokenAsked } from "../live/api.js";
import { askForAll } from "../live/alerts.js";
import { go } from "../shell/route.js";
import { say } from "../shell/toasts.js";
import { t } from "../texts/index.js";

export function Raise() {
  const [problem, setProblem] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    if (!identity.peek().token) {
      tokenAsked.value = t("alerts.sign.in");
      return;
    }
    const form = event.target;
    const given = Object.fromEntries(new FormData(form));
    try {
      const alert = await ask("/api/alerts", { body: { ...given, camera_id: given.camera_id || null } });
      setProblem("");
      form.reset();
      say(t("alerts.raised"));
      askForAll();
      if (alert.id) go("alerts", { alert: alert.id });
    } catch (refused) {
      setProblem(refused.message);
    }
  };
  return html`<details class="panel raise"><summary>${t("alerts.raise")}</summary><form class="inside fields" onSubmit=${submit}>
    <label class="labelled">${t("alerts.filter.type")}<select class="field" name="alert_type"><option value="incident">${t("alerts.type.incident")}</option><option value="manual">${t("alerts.type.manual")}</option></select></label>
    <label class="labelled">${t("alerts.raise.title")}<input class="field" name="title" required maxlength="200" /></label>
    <label class="labelled">${t("alerts.raise.message")}<input class="field" name="message" required maxlength="1000" /></label>
    <label class="labelled">${t("alerts.raise.camera")}<input class="field" name="camera_id" maxlength="64" /></label>
    <button class="button primary">${t("alerts.raise")}</button>
    ${problem && html`<p class="told" role="alert">${problem}</p>`}
  </form></details>`;
}
