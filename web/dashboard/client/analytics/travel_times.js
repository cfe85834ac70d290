// How long a corridor or a road takes: how reliably, before and after a change, during works.

import { html, useMemo } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number, percent } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { linkTo, setParams } from "../shell/route.js";
import { timeText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Exports } from "./export.js";
import { beginOf, dayOf, daysSpan, iso, SLOW, zone } from "./spans.js";

const DAY_MS = 86_400_000;
const SIDES = [7, 14, 28];

const signed = (value, digits = 0) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${number(Math.abs(value), digits)}`;
const rangeOf = ({ from, to }) => `${timeText(from, { seconds: false })} – ${timeText(to, { seconds: false })}`;

/** What is looked at: the road of the address, else the corridor that is chosen; null where there is neither. */
export function subjectOf(params, corridor) {
  if (params.road) return { kind: "road", name: params.road, path: `/api/roads/${encodeURIComponent(params.road)}` };
  return corridor ? { kind: "corridor", name: corridor.name, path: `/api/corridors/${corridor.id}` } : null;
}

export function TravelTimes({ params, subject, span, at }) {
  const query = new URLSearchParams({ from: iso(span.from), to: iso(span.to), tz: zone() });
  const isRoad = subject?.kind === "road";
  const answer = useAnswer(isRoad ? `${subject.path}/reliability?${query}` : null, SLOW);
  const name = answer.body?.name ?? subject?.name;
  const tools = html`<a class="button" href=${linkTo("roads", { road: params.road })}>${t("shell.room.roads")}</a><button type="button" class="button" onClick=${() => setParams({ road: undefined })}>${t("analytics.travel.corridors")}</button>`;
  const found = answer.body?.reliability;
  return html`${isRoad && html`<${Panel} title=${t("analytics.travel.of", { name })} of=${rangeOf(span)} tools=${tools} answer=${answer} empty=${found && !found.measured_steps && t("roads.nothing.measured")}>${found && html`<${Reliability} found=${found} />`}<//>`}
    <div class="columns"><${BeforeAfter} params=${params} subject=${subject} name=${name} at=${at} /><${Works} params=${params} subject=${subject} name=${name} span=${span} /></div>`;
}

export function Reliability({ found }) {
  return html`<${Figures} entries=${[
    [t("analytics.travel.mean"), number(found.mean_seconds, 1), "s"],
    [t("analytics.travel.free"), number(found.free_flow_seconds, 1), "s"],
    [t("analytics.tti"), number(found.travel_time_index, 2)],
    [t("analytics.pti"), number(found.planning_time_index, 2)],
    [t("analytics.buffer"), number(found.buffer_index, 2)],
    ["LOTTR", number(found.lottr, 2)],
    [t("analytics.coverage"), percent(found.coverage)],
  ]} />`;
}

/** So many days before a day, and from it on, by the city's clock; of those after it no more than there were. */
function around(day, days, at) {
  const begin = beginOf(day);
  if (!Number.isFinite(begin)) return null;
  const away = (count) => beginOf(dayOf(begin + (count + 0.5) * DAY_MS));
  const pair = { before: { from: away(-days), to: begin }, after: { from: begin, to: Math.min(away(days), at) } };
  return pair.after.from < pair.after.to ? pair : null;
}

function BeforeAfter({ params, subject, name, at }) {
  const days = SIDES.find((side) => String(side) === params.around) ?? SIDES[0];
  const day = params.change ?? dayOf(at - days * DAY_MS);
  const pair = useMemo(() => around(day, days, at), [day, days, at, zone()]);
  const query = pair && new URLSearchParams({ before_from: iso(pair.before.from), before_to: iso(pair.before.to), after_from: iso(pair.after.from), after_to: iso(pair.after.to) });
  const answer = useAnswer(subject && query ? `${subject.path}/comparison?${query}` : null, SLOW);
  const { body } = answer;
  const unmeasured = body && ["before", "after"].filter((side) => !body[side].days);
  const empty = !subject ? t("analytics.travel.none") : !pair ? t("analytics.change.future") : unmeasured?.length > 0 && t(`analytics.change.unmeasured.${unmeasured.length > 1 ? "both" : unmeasured[0]}`);
  const csv = () => [["", "from", "to", "days", "mean_seconds", "deviation_seconds"], ["before", "after"].map((side) => [side, iso(pair[side].from), iso(pair[side].to), body[side].days, body[side].mean_seconds, body[side].deviation_seconds])];
  const tools = subject && html`<label class="labelled">${t("analytics.change.day")}<input class="field" type="date" value=${day} max=${dayOf(at)} onChange=${(event) => event.target.value && setParams({ change: event.target.value })} /></label>
    <label class="labelled">${t("analytics.change.around")}<select class="field" value=${String(days)} onChange=${(event) => setParams({ around: event.target.value === String(SIDES[0]) ? undefined : event.target.value })}>${SIDES.map((side) => html`<option value=${String(side)} selected=${side === days}>${t("analytics.change.days", { n: side })}</option>`)}</select></label>
    ${body && !empty && html`<${Exports} name="before-after" csv=${csv} picture=${false} />`}`;
  return html`<${Panel} title=${t("analytics.change")} of=${subject && name} tools=${tools} answer=${subject && pair ? answer : undefined} empty=${empty}>
    ${body && html`<div class="sideways" tabindex="0" role="region" aria-label=${t("analytics.change")}><table class="sides"><thead><tr><th scope="col"></th><th scope="col" class="number">${t("analytics.change.measured")}</th><th scope="col" class="number">${t("analytics.travel.mean")}, s</th><th scope="col" class="number">${t("analytics.change.deviation")}, s</th></tr></thead>
      <tbody>${["before", "after"].map((side) => html`<tr key=${side}><th scope="row">${t(`analytics.change.${side}`)}<br /><small class="dim">${rangeOf(pair[side])}</small></th><td class="number">${number(body[side].days)}</td><td class="number mean">${number(body[side].mean_seconds, 1)}</td><td class="number">${number(body[side].deviation_seconds, 1)}</td></tr>`)}</tbody></table></div>
    <${Verdict} body=${body} />`}<//>`;
}

function Verdict({ body }) {
  const { difference_seconds: difference, relative, low_seconds: low, high_seconds: high, confidence } = body;
  if (difference === null || difference === undefined) return null;
  const said = t("analytics.change.said", { seconds: signed(difference, 1), share: `${signed(100 * relative, 1)} %` });
  if (low === null || low === undefined) return html`<p class="verdict"><b>${said}</b> ${t("analytics.change.few")}</p>`;
  const interval = t("analytics.change.interval", { low: signed(low, 1), high: signed(high, 1), confidence: percent(confidence) });
  return html`<p class="verdict"><b>${said}</b> ${interval} ${t(body.is_significant ? "analytics.change.real" : "analytics.change.chance")}</p><p class="by">${t("analytics.change.method")}</p>`;
}

function Works({ params, subject, name, span }) {
  const own = params.works_from && params.works_to ? daysSpan(params.works_from, params.works_to) : null;
  const chosen = own ?? span;
  const fits = chosen.from < chosen.to;
  const answer = useAnswer(subject && fits ? `${subject.path}/works?${new URLSearchParams({ from: iso(chosen.from), to: iso(chosen.to) })}` : null, SLOW);
  const { body } = answer;
  const days = { works_from: params.works_from ?? dayOf(span.from), works_to: params.works_to ?? dayOf(span.to - 1) };
  const put = (end) => (event) => event.target.value && setParams({ ...days, [end]: event.target.value });
  const tools = subject && html`${["from", "to"].map((end) => html`<label class="labelled">${t(`alerts.${end}`)}<input class="field" type="date" value=${days[`works_${end}`]} onChange=${put(`works_${end}`)} /></label>`)}`;
  const empty = !subject ? t("analytics.travel.none") : !fits ? t("analytics.span.not") : body && !body.compared_steps && t("analytics.works.none", { n: number(body.steps) });
  return html`<${Panel} title=${t("analytics.works")} of=${subject && name} tools=${tools} answer=${subject && fits ? answer : undefined} empty=${empty}>
    ${body && html`<${Figures} entries=${[
      [t("analytics.works.usual"), number(body.usual_seconds, 1), "s"],
      [t("analytics.works.during"), number(body.mean_seconds, 1), "s"],
      [t("analytics.works.delay"), number(body.delay_seconds, 1), "s"],
      [t("analytics.works.worst"), number(body.worst_delay_seconds, 1), "s"],
      [t("analytics.works.vehicle.hours"), number(body.delay_vehicle_hours, 1), body.delay_vehicle_hours === null ? "" : "h"],
    ]} />
    ${body.delay_vehicle_hours === null && html`<p class="by">${t("analytics.works.no.cameras")}</p>`}
    <p class="by">${t("analytics.works.of", { compared: number(body.compared_steps), all: number(body.steps) })}</p>`}<//>`;
}
