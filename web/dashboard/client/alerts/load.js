// How bearable the alarms are: load, floods, and which rules make it so. docs/alarms.md has the definitions.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number, percent } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { Severity } from "../components/words.js";
import { setParams } from "../shell/route.js";
import { Moment } from "../shell/times.js";
import { t } from "../texts/index.js";

const HOUR_MS = 3_600_000;
const QUARTER_MS = 900_000;
/** What is asked for when nothing is said. */
const USUAL_HOURS = 24;
const SPANS = [8, 24, 168];

/** A path with the last hours, since a quarter of an hour, so that the same is asked for a while; without them where they are the usual ones. */
export const overHours = (path, hours, usual) => (hours === usual ? path : `${path}?${new URLSearchParams({ since: new Date(Math.floor(Date.now() / QUARTER_MS) * QUARTER_MS - hours * HOUR_MS).toISOString() })}`);

const useLoad = (hours) => useAnswer(overHours("/api/alarms/performance", hours, USUAL_HOURS), { every: 30_000, timeoutMs: 20_000 });

/** A rule in words, whatever raised it. */
export function ruleWord(rule) {
  for (const key of [`alerts.type.${rule}`, `roads.notice.${rule}`]) if (t(key) !== key) return t(key);
  return rule.replaceAll("_", " ");
}

export function FloodBadge({ load }) {
  return load.in_flood
    ? html`<span class="badge" data-state="lost">${t("alerts.load.flood")} <${Moment} iso=${load.flood_since} seconds=${false} /></span>`
    : html`<span class="badge" data-state="live">${t("alerts.load.calm")}</span>`;
}

/** The load in a line, above what is open. */
export function LoadLine() {
  const { body } = useLoad(USUAL_HOURS);
  if (!body) return null;
  const { load } = body;
  return html`<p class="load-line" role="status"><${FloodBadge} load=${load} />
    <span>${t("alerts.load.line", { newest: number(load.newest_ten_minutes), mean: number(load.mean_per_ten_minutes, 1), peak: number(load.peak_per_ten_minutes) })}</span></p>`;
}

/** A figure, and whether people can bear it. */
const judged = (text, good) => html`<span class="judged" data-good=${good}>${text}${!good && html`<span class="unseen"> (${t("alerts.load.too.much")})</span>`}</span>`;

export function Load({ params }) {
  const hours = SPANS.find((one) => String(one) === params.hours) ?? USUAL_HOURS;
  const answer = useLoad(hours);
  const tools = html`<label class="labelled">${t("alerts.load.over")}<select class="field" value=${hours} onChange=${(event) => setParams({ hours: event.target.value })}>
    ${SPANS.map((value) => html`<option value=${value} selected=${value === hours}>${t(`alerts.load.over.${value}`)}</option>`)}</select></label>`;
  return html`<div class="stack load">
    <${Panel} title=${t("alerts.load")} tools=${tools} answer=${answer}>${answer.body && html`<${Overall} found=${answer.body} />`}<//>
    ${answer.body && html`<div class="columns">
      <${Frequent} found=${answer.body} /><${Priorities} found=${answer.body} /><${Operators} found=${answer.body} />
      <${Chattering} found=${answer.body} /><${Stale} found=${answer.body} />
    </div>`}
  </div>`;
}

function Overall({ found }) {
  const { load } = found;
  const took = found.time_to_acknowledge;
  return html`<p><${FloodBadge} load=${load} /></p>
    <${Figures} entries=${[
      [t("alerts.load.newest"), judged(number(load.newest_ten_minutes), load.newest_ten_minutes <= 10)],
      [t("alerts.load.mean"), judged(number(load.mean_per_ten_minutes, 2), load.mean_per_ten_minutes <= 2)],
      [t("alerts.load.operator"), number(load.per_operator_mean, 2)],
      [t("alerts.load.peak"), judged(number(load.peak_per_ten_minutes), load.peak_per_ten_minutes <= 10)],
      [t("alerts.load.share"), judged(`${number(100 * load.share_in_flood, 1)} %`, load.share_in_flood < 0.01)],
      [t("alerts.load.acknowledged"), number(took.median_seconds), "s"],
    ]} />
    <p class="dim">${t("alerts.load.became", { raised: number(found.raised), told: number(found.told), shelved: number(found.shelved), suppressed: number(found.suppressed), folded: number(found.folded), short: number(found.short), held: number(found.held), open: number(took.unacknowledged) })}</p>
    <p class="dim">${t("alerts.load.good")}</p>`;
}

const titled = () => [
  { key: "rule", title: t("alerts.rule"), value: ({ rule }) => rule, cell: ({ rule }) => ruleWord(rule) },
  { key: "source", title: t("alerts.where"), value: ({ source }) => source, cell: ({ source }) => source || "–" },
];
const keyOf = ({ stream, rule, source, alarm_id = "" }) => [stream, rule, source, alarm_id].join(" ");

function Frequent({ found }) {
  const columns = [...titled(),
    { key: "alarms", title: t("alerts.load.alarms"), number: true, value: ({ alarms }) => alarms, cell: ({ alarms }) => number(alarms) },
    { key: "share", title: t("alerts.load.of.all"), number: true, value: ({ share }) => share, cell: ({ share }) => percent(share) }];
  return html`<${Panel} title=${t("alerts.load.frequent")} of=${found.most_frequent_share === null ? "" : percent(found.most_frequent_share)} empty=${!found.most_frequent.length && t("alerts.load.none")}>
    <${Table} label=${t("alerts.load.frequent")} columns=${columns} rows=${found.most_frequent} keyOf=${keyOf} /><//>`;
}

function Priorities({ found }) {
  const columns = [
    { key: "priority", title: t("alerts.filter.severity"), cell: ({ priority }) => html`<${Severity} severity=${priority} />` },
    { key: "alarms", title: t("alerts.load.alarms"), number: true, cell: ({ alarms }) => number(alarms) },
    { key: "share", title: t("alerts.load.of.all"), number: true, cell: ({ share }) => percent(share) }];
  return html`<${Panel} title=${t("alerts.load.priorities")} of="80 / 15 / 5 %"><${Table} label=${t("alerts.load.priorities")} columns=${columns} rows=${found.priorities} keyOf=${({ priority }) => priority} /><//>`;
}

function Operators({ found }) {
  const columns = [
    { key: "name", title: t("alerts.load.name"), cell: ({ name }) => name },
    { key: "acknowledged", title: t("alerts.filter.acknowledged"), number: true, value: ({ acknowledged }) => acknowledged, cell: ({ acknowledged }) => number(acknowledged) },
    { key: "rate", title: t("alerts.load.each.ten"), number: true, value: ({ per_ten_minutes }) => per_ten_minutes, cell: ({ per_ten_minutes }) => number(per_ten_minutes, 2) },
    { key: "median", title: t("alerts.load.acknowledged"), number: true, value: ({ median_seconds }) => median_seconds, cell: ({ median_seconds }) => `${number(median_seconds)} s` }];
  return html`<${Panel} title=${t("alerts.load.operators")} of=${found.operators.length || ""} empty=${!found.operators.length && t("alerts.load.nobody")}>
    <${Table} label=${t("alerts.load.operators")} columns=${columns} rows=${found.operators} keyOf=${({ name }) => name} /><//>`;
}

function Chattering({ found }) {
  const columns = [...titled(),
    { key: "transitions", title: t("alerts.load.transitions"), number: true, value: ({ transitions }) => transitions, cell: ({ transitions }) => number(transitions) },
    { key: "at", title: t("alerts.load.at"), cell: ({ at }) => html`<${Moment} iso=${at} />` }];
  return html`<${Panel} title=${t("alerts.load.chattering")} of=${found.chattering_count || ""} empty=${!found.chattering.length && t("alerts.load.none")}>
    <${Table} label=${t("alerts.load.chattering")} columns=${columns} rows=${found.chattering} keyOf=${keyOf} /><//>`;
}

function Stale({ found }) {
  const columns = [...titled(),
    { key: "hours", title: t("alerts.load.hours"), number: true, value: ({ hours }) => hours, cell: ({ hours }) => number(hours, 1) }];
  return html`<${Panel} title=${t("alerts.load.stale")} of=${found.stale_count || ""} empty=${!found.stale.length && t("alerts.load.none")}>
    <${Table} label=${t("alerts.load.stale")} columns=${columns} rows=${found.stale} keyOf=${keyOf} /><//>`;
}
