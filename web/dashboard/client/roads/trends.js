// The city over the day: mean speeds by hour, rush hours beside the rest, the roads that were worst.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { HourBars } from "../components/hour_bars.js";
import { kmh, number, percent } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { t } from "../texts/index.js";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

export function Trends({ onChoose }) {
  const [hours, setHours] = useState(24);
  const [asked, setAsked] = useState(() => Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
  const range = useMemo(() => new URLSearchParams({ from: new Date(asked - hours * HOUR_MS).toISOString(), to: new Date(asked).toISOString() }), [hours, asked]);
  const trends = useAnswer(`/analytics/trends?${range}`, { every: 5 * MINUTE_MS, timeoutMs: 60_000, costly: true });
  const spans = useAnswer(`/api/simulated-spans?${range}`, { every: 5 * MINUTE_MS });
  const { body } = trends;
  const share = simulatedShare(spans.body ?? [], asked - hours * HOUR_MS, asked);
  const note = share > 0 && html`<p class="by baseline">${t("roads.simulated.part", { n: Math.max(1, Math.round(100 * share)) })}</p>`;
  const tools = html`<label class="labelled">${t("roads.over")}<select class="field" value=${hours} onChange=${(event) => { setHours(Number(event.target.value)); setAsked(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS); }}>
    ${[24, 168, 720].map((value) => html`<option value=${value} selected=${value === hours}>${t(`roads.over.${value}`)}</option>`)}</select></label>`;
  const none = body && !body.hourly_avg_speed.length && t("roads.nothing.measured");
  return html`
    <${Panel} title=${t("roads.hours")} tools=${tools} answer=${trends} empty=${none}>${body && html`<${Hours} body=${body} />`}${note}<//>
    <${Panel} title=${t("roads.rush")} answer=${trends} empty=${none}>${note}${body && html`<${Rush} body=${body} onChoose=${onChoose} />`}<//>`;
}

function Hours({ body: { hourly_avg_speed: hourly, rush_hour_patterns: patterns } }) {
  const speeds = Array(24).fill(null);
  for (const { hour, speed } of hourly) speeds[hour] = speed;
  const known = speeds.filter((speed) => speed !== null);
  const label = t("roads.hours.label", { low: kmh(Math.min(...known)), high: kmh(Math.max(...known)) });
  return html`<${HourBars} values=${speeds} label=${label} unit="km/h" isMarked=${(hour) => patterns.some(({ from_hour, to_hour }) => hour >= from_hour && hour < to_hour)} />
    <p class="by">${t("roads.hours.note")}</p>
    <details><summary>${t("shell.figures")}</summary><table><thead><tr><th scope="col">${t("roads.hour")}</th><th scope="col" class="number">km/h</th></tr></thead>
      <tbody>${speeds.map((speed, hour) => speed !== null && html`<tr><th scope="row">${hour}–${hour + 1} h</th><td class="number">${number(speed, 1)}</td></tr>`)}</tbody></table></details>`;
}

function Rush({ body: { rush_hour_patterns: patterns, top_congested_roads: worst }, onChoose }) {
  const change = ({ slowdown }) => (slowdown === null ? "–" : slowdown < 0 ? t("roads.rush.faster", { share: percent(-slowdown) }) : t("roads.rush.slower", { share: percent(slowdown) }));
  return html`
    ${patterns.length > 0 && html`<div class="sideways" role="region" tabindex="0" aria-label=${t("roads.rush.hour")}><table><thead><tr><th scope="col">${t("roads.rush.hour")}</th><th scope="col" class="number">km/h</th><th scope="col" class="number">${t("roads.rush.outside")}</th><th scope="col">${t("roads.rush.change")}</th><th scope="col" class="number">${t("roads.rush.slowest")}</th></tr></thead>
      <tbody>${patterns.map((pattern) => html`<tr><th scope="row">${pattern.name}, ${pattern.from_hour}–${pattern.to_hour} h</th><td class="number">${kmh(pattern.avg_speed)}</td><td class="number">${kmh(pattern.avg_speed_outside)}</td><td>${change(pattern)}</td><td class="number">${pattern.slowest_hour === null ? "–" : `${pattern.slowest_hour} h`}</td></tr>`)}</tbody></table></div>`}
    <h3>${t("roads.worst.mean")}</h3>
    <div class="sideways" role="region" tabindex="0" aria-label=${t("roads.worst.mean")}><table><thead><tr><th scope="col">${t("roads.road")}</th><th scope="col" class="number">${t("roads.jam")}</th><th scope="col" class="number">km/h</th><th scope="col" class="number">${t("roads.heavy")}</th></tr></thead>
      <tbody>${worst.map((road) => html`<tr key=${road.road_id}><th scope="row"><button type="button" class="link" onClick=${() => onChoose(road.road_id)}>${road.road_name}</button></th><td class="number">${number(road.avg_jam_factor, 1)}</td><td class="number">${kmh(road.avg_speed)}</td><td class="number">${percent(road.high_share)}</td></tr>`)}</tbody></table></div>`;
}

/** Share of a time that lies in spans, which come in order of their begin and may overlap. */
export function simulatedShare(spans, since, until) {
  let covered = 0;
  let reached = since;
  for (const span of spans) {
    const begin = Math.max(Date.parse(span.from), reached);
    const end = Math.min(Date.parse(span.to), until);
    if (end > begin) covered += end - begin;
    reached = Math.max(reached, end);
  }
  return covered / (until - since);
}
