// Trained models: how wrong each is beside the best simple rule, and which one serves.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Refused, Sure, useAct } from "../components/act.js";
import { number } from "../components/numbers.js";
import { Facts, Panel } from "../components/panel.js";
import { CameraAccuracy } from "../cameras/accuracy.js";
import { Accuracy } from "../roads/accuracy.js";
import { Moment } from "../shell/times.js";
import { t } from "../texts/index.js";

export function Models() {
  const answer = useAnswer("/api/admin/models", { every: 30_000 });
  const { act, busy, problem } = useAct();
  const promote = async ({ predicts, version }) => {
    if (await act(`/api/admin/models/${predicts}/${encodeURIComponent(version)}/promote`, { method: "POST" }, t("administration.models.promoted", { version }))) answer.again();
  };
  const of = (what) => (answer.body ?? []).filter((model) => model.predicts === what);
  return html`<p class="dim">${t("administration.models.what")}</p><${Refused} problem=${problem} />
    <div class="columns">${["roads", "cameras"].map((what) => html`<${Panel} key=${what} title=${t(`administration.models.${what}`)} answer=${answer} empty=${answer.body && !of(what).length && t("administration.models.none")}>
      ${of(what).map((model) => html`<${Model} key=${model.version} model=${model} busy=${busy} onPromote=${() => promote(model)} />`)}<//>`)}</div>
    <div class="columns"><${Accuracy} /><${CameraAccuracy} /></div>`;
}

function Model({ model, busy, onPromote }) {
  const better = ({ mae, best_rule_mae: rule }) => t(mae < rule ? "administration.models.better" : "administration.models.worse", { n: number(100 * Math.abs(1 - mae / rule), 1) });
  return html`<article class="model" data-state=${model.state} aria-label=${model.version}>
    <h3><span class="badge">${t(`administration.models.state.${model.state}`)}</span> <code>${model.version}</code></h3>
    <${Facts} entries=${[
      [t("map.kind"), model.kind || "–"],
      model.made_at && [t("administration.models.made"), html`<${Moment} iso=${model.made_at} />`],
      model.data_source && [t("administration.models.data"), html`${model.data_source}${model.data_from && html`, <${Moment} iso=${model.data_from} seconds=${false} /> – <${Moment} iso=${model.data_to} seconds=${false} />`}`],
      model.promoted_at && [t("administration.models.since"), html`<${Moment} iso=${model.promoted_at} />`],
    ]} />
    ${model.scores.length > 0 && html`<div class="sideways" tabindex="0" role="region" aria-label=${t("administration.models.error")}><table><caption>${t("administration.models.error")}${model.unit && `, ${model.unit}`}</caption><thead><tr><th scope="col">${t("administration.models.ahead")}</th><th scope="col" class="number">${t("administration.models.model")}</th><th scope="col" class="number">${t("administration.models.rule")}</th><th scope="col">${t("administration.models.compare")}</th></tr></thead>
      <tbody>${model.scores.map((score) => html`<tr key=${score.horizon_minutes}><th scope="row">+${number(score.horizon_minutes)} min</th><td class="number">${number(score.mae, 3)}</td><td class="number" title=${score.best_rule}>${number(score.best_rule_mae, 3)}</td><td>${better(score)} <span class="dim">(${score.best_rule.replaceAll("_", " ")})</span></td></tr>`)}</tbody></table></div>`}
    ${model.why_not.length > 0 && html`<details open=${model.state === "damaged"}><summary>${t("administration.models.why.not")}</summary><ul>${model.why_not.map((why) => html`<li>${why}</li>`)}</ul></details>`}
    ${model.may_serve && model.state !== "serving" && model.state !== "shipped" && html`<p class="tools actions"><${Sure} disabled=${busy} onSure=${onPromote}>${t("administration.models.promote")}<//></p>`}
  </article>`;
}
