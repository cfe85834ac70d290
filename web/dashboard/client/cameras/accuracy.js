// How right forecasts of cameras and lanes were, in congestion scores, and who made them.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number, percent } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { t } from "../texts/index.js";

export function whoOf(version) {
  const baseline = /^baseline:(.*)$/.exec(version);
  return baseline && ["last_value", "linear_ar", "time_of_day"].includes(baseline[1]) ? t(`cameras.who.${baseline[1]}`) : version;
}

export function CameraAccuracy() {
  const answer = useAnswer("/api/predict/accuracy", { every: 60_000 });
  const rows = answer.body?.cameras ?? [];
  return html`<${Panel} title=${t("cameras.accuracy")} answer=${answer.problem?.status === 404 ? undefined : answer} empty=${answer.body && !rows.length && t("cameras.accuracy.none")}>
    <div class="sideways" role="region" tabindex="0" aria-label=${t("cameras.accuracy")}><table><thead><tr>${["ahead", "who", "mean.error", "RMSE", "last.value", "within", "compared"].map((key, at) => html`<th scope="col" class=${at > 1 ? "number" : ""}>${key === "RMSE" ? key : t(`roads.${key}`)}</th>`)}</tr></thead>
      <tbody>${rows.filter((row) => [1, 5, 10, 20, 30].includes(row.horizon_minutes)).sort((a, b) => a.horizon_minutes - b.horizon_minutes).map((row) => html`<tr><th scope="row">${row.horizon_minutes} min</th><td>${whoOf(row.model_version)}</td><td class="number">${number(row.mae, 3)}</td><td class="number">${number(row.rmse, 3)}</td><td class="number">${number(row.last_value_mae, 3)}</td><td class="number">${percent(row.within_interval_share)}</td><td class="number">${number(row.predictions)}</td></tr>`)}</tbody></table></div>
  <//>`;
}
