// How right forecasts were, beside the simplest rule there is: that the mean speed of the newest step stays.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number, percent } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { timeText } from "../shell/times.js";
import { t } from "../texts/index.js";

const [ROW, WIDTH, LEFT, RIGHT] = [26, 440, 52, 150];

export function nameOf(version) {
  const baseline = /^baseline:(.*)$/.exec(version);
  return baseline && ["last_value", "linear_ar", "time_of_day"].includes(baseline[1]) ? t(`roads.model.${baseline[1]}`) : t("roads.model", { version });
}

export function Accuracy() {
  const answer = useAnswer("/api/predict/accuracy", { every: 60_000 });
  const { body, problem } = answer;
  const empty = problem?.status === 404 ? t("roads.accuracy.not") : body && !body.models.length && t("roads.accuracy.none");
  const versions = [...new Set((body?.models ?? []).map((row) => row.model_version))];
  return html`<${Panel} title=${t("roads.accuracy")} answer=${problem?.status === 404 ? undefined : answer} empty=${empty}>
    ${versions.map((version) => html`<${Version} key=${version} version=${version} rows=${body.models.filter((row) => row.model_version === version).sort((a, b) => a.horizon_minutes - b.horizon_minutes)} />`)}
    <p class="by">${t("roads.accuracy.note")} ${body?.compared_to && t("roads.accuracy.until", { time: timeText(Date.parse(body.compared_to)) })}</p>
  <//>`;
}

function Version({ version, rows }) {
  const name = nameOf(version);
  const most = Math.max(...rows.flatMap((row) => [row.mae_kmh, row.last_value_mae_kmh ?? 0]), 0.1);
  const x = (kmh) => LEFT + ((WIDTH - LEFT - RIGHT) * kmh) / most;
  return html`<h3>${name}</h3>
    <svg class="bars" viewBox=${`0 0 ${WIDTH} ${rows.length * ROW + 4}`} role="img" aria-label=${t("roads.accuracy.label", { name })}>${rows.map((row, at) => {
      const y = at * ROW + 5;
      return html`<text x=${LEFT - 6} y=${y + 12} text-anchor="end">${row.horizon_minutes} min</text>
        <rect x=${LEFT} y=${y} width=${Math.max(0, x(row.mae_kmh) - LEFT)} height=${ROW - 10} rx="1.500" />
        <text x=${Math.max(x(row.mae_kmh), x(row.last_value_mae_kmh ?? 0)) + 6} y=${y + 12}>${verdict(row)}</text>
        ${row.last_value_mae_kmh !== null && html`<line class="mark" x1=${x(row.last_value_mae_kmh)} x2=${x(row.last_value_mae_kmh)} y1=${y - 3} y2=${y + ROW - 7} />`}`;
    })}</svg>
    <div class="sideways" role="region" tabindex="0" aria-label=${name}><table><thead><tr>${["ahead", "mean.error", "RMSE", "last.value", "within", "compared"].map((key, at) => html`<th scope="col" class=${at ? "number" : ""}>${key === "RMSE" ? key : t(`roads.${key}`)}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr><th scope="row">${row.horizon_minutes} min</th><td class="number">${number(row.mae_kmh, 2)}</td><td class="number">${number(row.rmse_kmh, 2)}</td><td class="number">${number(row.last_value_mae_kmh, 2)}</td><td class="number">${percent(row.within_interval_share)}</td><td class="number">${number(row.predictions)}</td></tr>`)}</tbody></table></div>
    ${rows.some((row) => row.bands?.length) && html`<${Bands} name=${name} rows=${rows} />`}`;
}

// Errors by the speed that came: jams are where forecasts are hard, and where they matter.
function Bands({ name, rows }) {
  const label = t("roads.bands", { name });
  return html`<div class="sideways" role="region" tabindex="0" aria-label=${label}><table><caption>${t("roads.bands.caption")}</caption>
    <thead><tr>${["ahead", "band", "mean.error", "RMSE", "last.value", "compared"].map((key, at) => html`<th scope="col" class=${at > 1 ? "number" : ""}>${key === "RMSE" ? key : t(`roads.${key}`)}</th>`)}</tr></thead>
    <tbody>${rows.flatMap((row) => row.bands.map((band) => html`<tr><th scope="row">${row.horizon_minutes} min</th><td>${band.to_kmh === null ? t("roads.band.above", { from: band.from_kmh }) : t("roads.band.between", { from: band.from_kmh, to: band.to_kmh })}</td><td class="number">${number(band.mae_kmh, 2)}</td><td class="number">${number(band.rmse_kmh, 2)}</td><td class="number">${number(band.last_value_mae_kmh, 2)}</td><td class="number">${number(band.predictions)}</td></tr>`))}</tbody></table></div>`;
}

function verdict({ model_version, mae_kmh, last_value_mae_kmh }) {
  const error = `${number(mae_kmh, 1)} km/h`;
  if (!last_value_mae_kmh || model_version === "baseline:last_value") return error;
  const share = 1 - mae_kmh / last_value_mae_kmh;
  return `${error}, ${t(share < 0 ? "roads.worse" : "roads.better", { share: percent(Math.abs(share)) })}`;
}
