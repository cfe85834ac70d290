// One road in words: now, ahead, who says so and how right that was.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { roads, told } from "../live/roads.js";
import { kmh, number, percent } from "../components/numbers.js";
import { Facts, Panel } from "../components/panel.js";
import { Flow } from "../components/words.js";
import { linkTo } from "../shell/route.js";
import { ageText, Age } from "../shell/times.js";
import { t } from "../texts/index.js";
import { nameOf } from "./accuracy.js";
import { HORIZONS, speedAt, stepAt } from "./flow.js";

export function RoadDetails({ id, tools }) {
  const road = roads.value.get(id);
  if (!road) {
    const problem = told.value.network?.problem;
    const empty = problem ? t("shell.problem", { why: problem.message }) : roads.value.size ? t("map.gone") : t("shell.loading");
    return html`<${Panel} title=${t("roads.road")} of=${id} tools=${tools} empty=${empty} />`;
  }
  const { now, prediction } = road;
  const lanes = [...new Set(road.edges.map((edge) => edge.lanes))].join("–");
  const toldAs = !now ? "" : now.closed ? t("roads.told") : ["historical", "speed_limit"].includes(now.speed_from) ? t(`roads.told.${now.speed_from}`) : t("roads.measured");
  return html`<${Panel} title=${road.name} of=${road.name === road.id ? t("roads.road") : road.id} tools=${tools}>
    <${Facts} entries=${[
      [t("roads.now"), !now ? t(told.value.speeds?.body ? "roads.no.recent" : "shell.loading") : now.closed ? html`<b>${t("roads.closed")}</b>` : html`<b>${kmh(now.current_speed)} km/h</b> <${Flow} step=${stepAt(road, 0)} />`],
      now && [t("roads.jam"), t("roads.jam.value", { jam: number(now.jam_factor, 1), level: now.congestion_level })],
      [t("roads.free.flow"), t(`roads.free.flow.${road.freeFlowBy}`, { speed: kmh(road.freeFlowKmh) })],
      [t("roads.length"), t("roads.lanes", { lanes, metres: number(road.lengthM, road.lengthM < 10 ? 1 : 0) })],
      now && [toldAs, html`<${Age} iso=${now.last_updated} />`],
    ]} />
    <p class="by"><a href=${linkTo("analytics", { road: road.id })}>${t("analytics.travel.more")}</a></p>
    ${prediction ? html`<${Forecast} road=${road} />` : html`<p class="by">${t(told.value.forecasts?.body ? "roads.forecast.none" : "shell.loading")}</p>`}
  <//>`;
}

// Shares of those who predict a horizon, the model's first.
function whose(prediction, at) {
  const shares = prediction.weights?.[at];
  if (!shares) return prediction.model_versions?.[at] ? nameOf(prediction.model_versions[at]) : "";
  const names = ["model", "linear_ar", "last_value"].map((who) => t(`roads.share.${who}`));
  const said = shares.map((share, who) => [share, names[who]]).filter(([share]) => share > 0);
  return said.map(([share, name]) => (said.length === 1 ? name : `${percent(share)} ${name}`)).join(", ");
}

function Forecast({ road }) {
  const { prediction } = road;
  const accuracy = useAnswer("/api/predict/accuracy", { every: 60_000 });
  const baseline = prediction.source !== "model";
  const who = ["model", "last_value", "linear_ar", "time_of_day", "closed"].includes(prediction.source) ? t(`roads.who.${prediction.source}`) : prediction.source;
  const error = accuracy.body?.models.find((row) => row.model_version === prediction.model_version && row.horizon_minutes === 30);
  return html`
    <h3>${t("roads.forecast")}</h3>
    <table class="forecast">
      <thead><tr><th scope="col">${t("roads.ahead")}</th><th scope="col" class="number">km/h</th><th scope="col" class="number">${t("roads.four.of.five")}</th><th scope="col">${t("roads.flow")}, ${t("roads.confidence")}</th><th scope="col">${t("roads.who")}</th></tr></thead>
      <tbody>${HORIZONS.slice(1).map((minutes, at) => {
        const [low, high, confidence] = ["low_kmh", "high_kmh", "confidences"].map((field) => prediction[field][at] ?? null);
        return html`<tr><th scope="row">${minutes} min</th><td class="number"><b>${kmh(speedAt(road, at + 1))}</b></td>
          <td class="number">${low === null || high === null ? t("shell.not.known") : t("roads.to", { low: kmh(low), high: kmh(high) })}</td>
          <td><${Flow} step=${stepAt(road, at + 1)} /> <span class="dim">${percent(confidence)}</span></td><td class="dim">${whose(prediction, at)}</td></tr>`;
      })}</tbody>
    </table>
    <p class=${baseline ? "by baseline" : "by"}>${t("roads.by", { who, age: ageText(Date.parse(prediction.timestamp)) })}
      ${prediction.note && ` ${t("roads.by.why", { note: prediction.note })}`}
      ${!baseline && ` ${t("roads.by.version", { version: prediction.model_version })}`}
      ${error && ` ${t("roads.recent.error", { minutes: 30, error: number(error.mae_kmh, 1) })}`}</p>`;
}
