// The next minutes of a camera, with the interval they lie in.

import { html, useMemo } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Chart } from "../components/chart.js";
import { number } from "../components/numbers.js";
import { Level } from "../components/words.js";
import { whoOf } from "./accuracy.js";
import { ageText, timeText } from "../shell/times.js";
import { t } from "../texts/index.js";

export function CameraForecast({ id, height = 180, table }) {
  const query = new URLSearchParams({ camera_id: id, horizon_minutes: 30 });
  const { body, problem } = useAnswer(`/api/predict/congestion?${query}`, { every: 30_000 });
  const [times, lines] = useMemo(() => {
    const steps = body?.forecast ?? [];
    const values = (field) => steps.map((step) => step[field] ?? null);
    return [steps.map(({ predicted_at }) => Date.parse(predicted_at) / 1000), [{ label: t("cameras.chart.forecast"), values: values("congestion_score"), colour: "--accent", digits: 2, dashed: true, band: [values("low"), values("high")] }]];
  }, [body]);
  if (problem && !body) return html`<p class="by">${problem.status === 404 || problem.status === 503 ? t("map.no.forecast") : t("shell.problem", { why: problem.message })} ${problem.status === 404 || problem.status === 503 ? problem.message : ""}</p>`;
  if (!body) return null;
  return html`<h3>${t("cameras.forecast")}</h3>
    <${Chart} label=${t("cameras.forecast")} times=${times} lines=${lines} height=${height} to=${1} />
    <p class="by">${t("cameras.forecast.by", { age: ageText(Date.parse(body.generated_at)), model: body.model, n: body.history_samples })} ${body.note}</p>
    ${table && html`<details><summary>${t("shell.figures")}</summary><table>
      <thead><tr><th scope="col">${t("cameras.at")}</th><th scope="col">${t("cameras.level")}</th><th scope="col" class="number">${t("cameras.score")}</th><th scope="col" class="number">${t("roads.four.of.five")}</th><th scope="col">${t("roads.who")}</th></tr></thead>
      <tbody>${body.forecast.map((step) => html`<tr><th scope="row">${timeText(Date.parse(step.predicted_at), { seconds: false })}</th><td><${Level} level=${step.congestion_level} /></td><td class="number">${number(step.congestion_score, 2)}</td><td class="number">${number(step.low, 2)} – ${number(step.high, 2)}</td><td>${whoOf(step.model)}</td></tr>`)}</tbody></table></details>`}`;
}
