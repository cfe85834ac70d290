// Alerts as a list; one of them can be chosen.

import { html } from "../vendor/preact.mjs";
import { Severity } from "../components/words.js";
import { go } from "../shell/route.js";
import { Age, Moment } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";
import { withheldText } from "./shelves.js";

/** @param props.onChoose gets an id; without it the room of alerts opens. */
export function AlertList({ alerts, chosen, onChoose = (id) => go("alerts", { alert: id }) }) {
  return html`<ol class="plain picks">${alerts.map((alert) => html`<li key=${alert.id}>
    <button type="button" class="pick alert" aria-pressed=${chosen === alert.id} data-withheld=${alert.withheld?.how} data-severity=${alert.severity} onClick=${() => onChoose(alert.id)}>
      <${Severity} severity=${alert.severity} />
      <span class="grow"><b>${alert.title}</b> <span class="dim">${placeOf(alert)} · ${wordOf("alerts.type", alert.alert_type)}${alert.acknowledged_by ? ` · ${t("alerts.taken.by", { name: alert.acknowledged_by })}` : ""}${alert.withheld ? ` · ${withheldText(alert.withheld)}` : ""}</span></span>
      <span class="dim number">${alert.resolved_at ? html`<${Moment} iso=${alert.triggered_at} seconds=${false} /> – <${Moment} iso=${alert.resolved_at} seconds=${false} />` : html`<${Age} iso=${alert.triggered_at} />`}</span>
    </button></li>`)}</ol>`;
}

export const placeOf = ({ camera_id, road_segment }) => [camera_id, road_segment].filter(Boolean).join(" · ");
