// How congested the city was over the range of the slider, so that one sees where to look.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { iso, zone } from "../analytics/spans.js";
import { number } from "../components/numbers.js";
import { timeText } from "../shell/times.js";
import { t } from "../texts/index.js";

const HOUR_MS = 3_600_000;
const [WIDTH, HEIGHT] = [1000, 34];

export function Course({ range, at }) {
  const from = Math.floor(range.from / 60_000) * 60_000;
  const to = Math.ceil(range.to / 60_000) * 60_000;
  const answer = useAnswer(`/api/analytics/trends?${new URLSearchParams({ from: iso(from), to: iso(to), tz: zone() })}`, { every: 300_000, timeoutMs: 60_000 });
  const x = (moment) => ((moment - range.from) / (range.to - range.from)) * WIDTH;
  const rows = (answer.body ?? []).filter((row) => row.avg_congestion_score !== null);
  return html`<svg class="course" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${t("history.course")}>
    ${rows.map((row) => {
    const begin = Math.max(range.from, Date.parse(row.hour_start));
    const end = Math.min(range.to, Date.parse(row.hour_start) + HOUR_MS);
    const height = Math.max(1, row.avg_congestion_score * HEIGHT);
    return html`<rect key=${row.hour_start} x=${x(begin)} width=${Math.max(0, x(end) - x(begin) - 1.5)} y=${HEIGHT - height} height=${height}><title>${timeText(begin, { seconds: false, zone: zone() })}: ${number(row.avg_congestion_score, 2)}</title></rect>`;
  })}
    ${at !== null && html`<line x1=${x(at)} x2=${x(at)} y1="0" y2=${HEIGHT} />`}
  </svg>`;
}
