// Two spans beside each other: the figures, what the second has more, and the hours of both.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { setParams } from "../shell/route.js";
import { timeText, zoneText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Exports } from "./export.js";
import { dayOf, daysSpan, iso, pairOf, SLOW, zone } from "./spans.js";
import { TwoLines } from "./two_lines.js";

const PAIRS = ["day", "hour", "week", "own"];

export function Compare({ params, at }) {
  const chosen = PAIRS.includes(params.pair) ? params.pair : "day";
  const [own, setOwn] = useState(() => ({ a: [dayOf(at - 86_400_000), dayOf(at - 86_400_000)], b: [dayOf(at), dayOf(at)] }));
  const pair = useMemo(() => (chosen === "own" ? { a: daysSpan(...own.a), b: daysSpan(...own.b) } : pairOf(chosen, at)), [chosen, own, at, zone()]);
  const fits = [pair.a, pair.b].every(({ from, to }) => from < to);
  const query = fits && new URLSearchParams({ start_a: iso(pair.a.from), end_a: iso(pair.a.to), start_b: iso(pair.b.from), end_b: iso(pair.b.to), tz: zone() });
  const answer = useAnswer(query ? `/api/analytics/compare?${query}` : null, { ...SLOW, every: 60_000 });
  const { body } = answer;
  const told = ({ from, to }) => `${timeText(from, { seconds: false })} – ${timeText(to, { seconds: false })} ${zoneText(undefined, to)}`;
  const rows = body ? [
    [t("analytics.measure.congestion"), body.range_a.average_congestion, body.range_b.average_congestion, body.congestion_delta, 3, -1],
    [t("analytics.measure.speed"), body.range_a.average_speed_kmh, body.range_b.average_speed_kmh, body.speed_delta, 1, 1],
    [t("analytics.measure.vehicles"), body.range_a.vehicle_count, body.range_b.vehicle_count, body.vehicle_count_delta, 1, 0],
    [t("shell.room.alerts"), body.range_a.incident_count, body.range_b.incident_count, body.incident_delta, 0, -1],
  ] : [];
  // where a span has no figures, fewer alerts are no better
  const measured = rows.slice(0, 1).every(([, a, b]) => a !== null && b !== null);
  const peak = (range) => (range.peak_hour === null ? "–" : `${range.peak_hour} h`);
  const csv = () => [["", "A", "B", "B - A"], rows.map(([name, a, b, delta]) => [name, a, b, delta])];
  const empty = !fits ? t("analytics.span.not") : body && body.range_a.average_congestion === null && body.range_b.average_congestion === null && t("analytics.none");
  const tools = html`<label class="labelled">${t("analytics.pair")}<select class="field" value=${chosen} onChange=${(event) => setParams({ pair: event.target.value === "day" ? undefined : event.target.value })}>${PAIRS.map((name) => html`<option value=${name} selected=${name === chosen}>${t(`analytics.pair.${name}`)}</option>`)}</select></label>
    <${Exports} name="compare" csv=${csv} />`;
  return html`<${Panel} title=${t("analytics.compare")} tools=${tools} answer=${fits ? answer : undefined} empty=${empty}>
    ${body && html`<${TwoLines} a=${body.range_a.peak_hour_trends} b=${body.range_b.peak_hour_trends} />
    <div class="sideways" tabindex="0" role="region" aria-label=${t("analytics.compare")}><table><thead><tr><th scope="col"></th><th scope="col" class="number">A<br /><small>${told(pair.a)}</small></th><th scope="col" class="number">B<br /><small>${told(pair.b)}</small></th><th scope="col" class="number">B − A</th></tr></thead>
      <tbody>${rows.map(([name, a, b, delta, digits, good]) => html`<tr key=${name}><th scope="row">${name}</th><td class="number">${number(a, digits)}</td><td class="number">${number(b, digits)}</td><td class="number"><${Delta} delta=${delta} digits=${digits} good=${measured ? good : 0} /></td></tr>`)}
      <tr><th scope="row">${t("analytics.peak")}</th><td class="number">${peak(body.range_a)}</td><td class="number">${peak(body.range_b)}</td><td></td></tr></tbody></table></div>`}<//>
    ${chosen === "own" && html`<${OwnSpans} own=${own} onChange=${setOwn} />`}`;
}

function Delta({ delta, digits, good }) {
  if (delta === null) return "–";
  const word = good === 0 || Math.abs(delta) < 10 ** -digits / 2 ? "" : delta * good > 0 ? "better" : "worse";
  return html`<span class="delta" data-word=${word}>${delta > 0 ? "+" : delta < 0 ? "−" : ""}${number(Math.abs(delta), digits)}${word && ` (${t(`analytics.${word}`)})`}</span>`;
}

function OwnSpans({ own, onChange }) {
  const put = (side, at) => (event) => {
    if (!event.target.value) return;
    const next = [...own[side]];
    next[at] = event.target.value;
    onChange({ ...own, [side]: next });
  };
  return html`<fieldset class="panel own"><legend>${t("analytics.pair.own")}</legend>${["a", "b"].map((side) => html`<p class="tools"><b>${side.toUpperCase()}</b>${["from", "to"].map((end, at) => html`<label class="labelled">${t(`alerts.${end}`)}<input class="field" type="date" value=${own[side][at]} onChange=${put(side, at)} /></label>`)}</p>`)}</fieldset>`;
}
