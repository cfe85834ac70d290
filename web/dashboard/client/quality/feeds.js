// How good what comes in is, topic by topic: whether it comes, what of it is refused, and how late it is.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number, percent } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { setParams } from "../shell/route.js";
import { Age } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";

const SPANS = [15, 60, 1440];
const USUAL_MINUTES = 60;

const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
const reasons = (counts) => Object.entries(counts).sort(([, a], [, b]) => b - a).map(([reason, count]) => `${wordOf("quality.reason", reason)} ${number(count)}`).join(", ");

export function Feeds({ params }) {
  const minutes = SPANS.find((one) => String(one) === params.minutes) ?? USUAL_MINUTES;
  const answer = useAnswer(`/api/quality/feeds?minutes=${minutes}`, { every: 30_000, timeoutMs: 20_000 });
  const rows = answer.body ?? [];
  const columns = [
    { key: "feed", title: t("quality.feed"), value: ({ feed }) => feed, cell: ({ feed, topic }) => html`<span class="long">${feed} <span class="dim">${topic}</span></span>` },
    { key: "seen", title: t("quality.seen"), value: ({ last_seen }) => (last_seen ? Date.parse(last_seen) : 0), cell: ({ last_seen }) => (last_seen ? html`<${Age} iso=${last_seen} />` : t("quality.never")) },
    { key: "messages", title: t("quality.messages"), number: true, value: ({ messages }) => messages, cell: ({ messages }) => number(messages) },
    { key: "usual", title: t("quality.usual"), number: true, value: ({ usual_per_minute }) => usual_per_minute, cell: ({ usual_per_minute }) => number(usual_per_minute, 1) },
    ...["completeness", "validity", "timeliness"].map((key) => ({ key, title: t(`quality.${key}`), number: true, value: (row) => row[key], cell: (row) => percent(row[key]) })),
    { key: "late", title: t("quality.feed.late"), number: true, value: ({ late_mean_seconds }) => late_mean_seconds, cell: ({ late_mean_seconds }) => number(late_mean_seconds, 1) },
    { key: "repeated", title: t("quality.repeated"), number: true, value: ({ repeated }) => repeated, cell: ({ repeated }) => number(repeated) },
    { key: "refused", title: t("quality.part.refused"), value: ({ refused_parts }) => total(refused_parts), cell: ({ refused_parts }) => html`<span class="long">${reasons(refused_parts) || "–"}</span>` },
  ];
  const tools = html`<label class="labelled">${t("alerts.load.over")}<select class="field" value=${minutes} onChange=${(event) => setParams({ minutes: event.target.value })}>
    ${SPANS.map((value) => html`<option value=${value} selected=${value === minutes}>${t(`quality.feeds.over.${value}`)}</option>`)}</select></label>`;
  return html`<${Panel} title=${t("quality.part.feeds")} of=${answer.body && rows.length} tools=${tools} answer=${answer} empty=${answer.body && !rows.length && t("quality.feeds.none")}>
    <p class="by">${t("quality.feeds.note")}</p>
    <${Table} label=${t("quality.part.feeds")} columns=${columns} rows=${rows} keyOf=${({ feed }) => feed} /><//>`;
}
