// What must be known of the figures of roads before they are believed.

import { html } from "../vendor/preact.mjs";
import { predictors, roads, strangers, told } from "../live/roads.js";
import { ageText, now } from "../shell/times.js";
import { t } from "../texts/index.js";

const OLD_FORECAST_MS = 120_000;

function messages() {
  const { network, speeds, forecasts } = told.value;
  const found = [];
  if (network?.problem && !network.body) found.push(network.problem.status === 404 ? t("roads.graph.none") : t("shell.problem", { why: network.problem.message }));
  if (!roads.value.size) return found;
  if (speeds?.body && !speeds.body.count) found.push(t("roads.none.recent"));
  if (strangers.value) found.push(t("roads.strangers", { n: strangers.value }));
  if (forecasts?.body && !forecasts.body.count) found.push(t("roads.forecast.first"));
  for (const { source, note, count } of predictors()) {
    if (source === "closed") found.push(t("roads.closed.count", { n: count }));
    else if (source !== "model" && note !== undefined) found.push(t(`roads.baseline.${source}`, { n: count, note: note ?? "" }));
  }
  const madeAt = forecasts?.body?.newest ?? null;
  if (madeAt && now.value - madeAt > OLD_FORECAST_MS) found.push(t("roads.forecast.old", { age: ageText(madeAt) }));
  return found;
}

export function RoadMessages() {
  return html`<div class="banners" role="status">${messages().map((text) => html`<p class="banner" data-kind="stale" key=${text}>${text}</p>`)}</div>`;
}
