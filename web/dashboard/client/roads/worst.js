// The roads that flow worst, now or ahead.

import { html } from "../vendor/preact.mjs";
import { roads, told } from "../live/roads.js";
import { Waiting } from "../components/panel.js";
import { kmh } from "../components/numbers.js";
import { Flow } from "../components/words.js";
import { t } from "../texts/index.js";
import { speedAt, stepAt } from "./flow.js";

export function WorstRoads({ horizon, count, chosen, onChoose }) {
  const found = roads.value.first?.(horizon, count) ?? [];
  const answer = horizon ? told.value.forecasts : told.value.speeds;
  if (!found.length && !answer?.body) return answer?.problem ? html`<p class="empty">${t("shell.problem", { why: answer.problem.message })}</p>` : html`<${Waiting} />`;
  if (!found.length) return html`<p class="empty">${t("roads.no.speeds")}</p>`;
  return html`<ol class="plain picks">${found.map((road, place) => html`<li key=${place}>
    <button type="button" class="pick" aria-pressed=${chosen === road.id} onClick=${() => onChoose(road.id)}>
      <${Flow} step=${stepAt(road, horizon)} /><span class="grow">${road.name}</span>
      <span class="number">${kmh(speedAt(road, horizon))} / ${kmh(road.freeFlowKmh)} km/h</span>
    </button></li>`)}</ol>`;
}
