// The hand-over of a shift: what stands, what happened, what is withheld and why. It can be printed.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { number } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Severity } from "../components/words.js";
import { Icon } from "../shell/icons.js";
import { linkTo, setParams } from "../shell/route.js";
import { Moment } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";
import { overHours, ruleWord } from "./load.js";
import { withheldText } from "./shelves.js";

const SHIFTS = [4, 8, 12, 24];
/** What is asked for when nothing is said. */
const USUAL_HOURS = 8;

export function Handover({ params }) {
  const hours = SHIFTS.find((one) => String(one) === params.shift) ?? USUAL_HOURS;
  const answer = useAnswer(overHours("/api/alarms/handover", hours, USUAL_HOURS), { every: 60_000, timeoutMs: 20_000 });
  const found = answer.body;
  const tools = html`<label class="labelled">${t("alerts.handover.shift")}<select class="field" value=${hours} onChange=${(event) => setParams({ shift: event.target.value })}>
      ${SHIFTS.map((value) => html`<option value=${value} selected=${value === hours}>${t("alerts.shelf.hours", { n: value })}</option>`)}</select></label>
    <button type="button" class="button whole-words" onClick=${() => window.print()}><${Icon} name="print" /> ${t("alerts.handover.print")}</button>`;
  return html`<div class="stack handover">
    <${Panel} title=${t("alerts.handover")} tools=${tools} answer=${answer}>${found && html`
      <p><${Moment} iso=${found.since} seconds=${false} /> – <${Moment} iso=${found.until} seconds=${false} /></p>
      <${Figures} entries=${["open", "raised", "acknowledged", "cleared", "shelved", "suppressed", "folded", "short"].map((name) => [t(`alerts.handover.${name}`), number(found.counts[name])])} />`}<//>
    ${found && html`
      <${Alarms} name="open" alarms=${found.open} count=${found.counts.open} />
      <${Congestion} events=${found.congestion} />
      <${Unhealthy} sources=${found.unhealthy} />
      <${ShelvesOfShift} shelves=${found.shelves} />
      <${Comments} comments=${found.comments} />
      <${Alarms} name="raised" alarms=${found.raised} count=${found.counts.raised} />
      <${Alarms} name="acknowledged" alarms=${found.acknowledged} count=${found.counts.acknowledged} />
      <${Alarms} name="cleared" alarms=${found.cleared} count=${found.counts.cleared} />
      <${Alarms} name="withheld" alarms=${found.withheld} count=${found.withheld.length} />`}
  </div>`;
}

function Alarms({ name, alarms, count }) {
  return html`<${Panel} title=${t(`alerts.handover.${name}`)} of=${count ? number(count) : ""} empty=${!alarms.length && t("alerts.handover.nothing")}>
    <ol class="plain lines">${alarms.map((alarm) => html`<li key=${`${alarm.stream} ${alarm.alarm_id}`}>
      <${Severity} severity=${alarm.priority} />
      <span class="grow"><b>${alarm.stream === "alert" ? html`<a href=${linkTo("alerts", { alert: alarm.alarm_id })}>${alarm.title}</a>` : alarm.title || alarm.source}</b>
        ${" "}<span class="dim">${[alarm.source, ruleWord(alarm.rule), alarm.acknowledged_by && t("alerts.taken.by", { name: alarm.acknowledged_by }), withheldText(alarm.withheld)].filter(Boolean).join(" · ")}</span></span>
      <span class="dim number"><${Moment} iso=${alarm.raised_at} seconds=${false} />${alarm.cleared_at && html` – <${Moment} iso=${alarm.cleared_at} seconds=${false} />`}</span></li>`)}</ol>
    ${count > alarms.length && html`<p class="dim">${t("alerts.handover.more", { n: number(count - alarms.length) })}</p>`}
  <//>`;
}

function Congestion({ events }) {
  return html`<${Panel} title=${t("alerts.handover.congestion")} of=${events.length || ""} empty=${!events.length && t("alerts.events.none")}>
    <ol class="plain lines">${events.map((event) => html`<li key=${event.event_id}>
      <${Severity} severity=${event.severity} />
      <span class="grow"><b>${event.road}</b> <span class="dim">${[`${number(event.length_m)} m`, wordOf("alerts.event", event.state), event.cause, event.camera_ids.join(", ")].filter(Boolean).join(" · ")}</span></span>
      <span class="dim number"><${Moment} iso=${event.began_at} seconds=${false} /></span></li>`)}</ol><//>`;
}

function Unhealthy({ sources }) {
  return html`<${Panel} title=${t("alerts.handover.unhealthy")} of=${sources.length || ""} empty=${!sources.length && t("alerts.handover.healthy")}>
    <ol class="plain lines">${sources.map((one) => html`<li key=${`${one.rule} ${one.source}`}>
      <span class="grow"><b>${one.source}</b> <span class="dim">${one.message}</span></span><span class="dim number"><${Moment} iso=${one.since} seconds=${false} /></span></li>`)}</ol><//>`;
}

function ShelvesOfShift({ shelves }) {
  return html`<${Panel} title=${t("alerts.shelves")} of=${shelves.length || ""} empty=${!shelves.length && t("alerts.shelves.none")}>
    <ol class="plain lines">${shelves.map((shelf) => html`<li key=${shelf.id}>
      <span class="grow"><b>${shelf.alert_id ? t("alerts.shelf.one", { id: shelf.alert_id.slice(0, 8) }) : `${ruleWord(shelf.rule)} · ${shelf.source}`}</b>
        ${" "}<span class="dim">${shelf.reason} · ${t("alerts.shelf.by", { name: shelf.shelved_by })}</span></span>
      <span class="dim number"><${Moment} iso=${shelf.shelved_at} seconds=${false} /> – <${Moment} iso=${shelf.ended_at ?? shelf.expires_at} seconds=${false} /></span></li>`)}</ol><//>`;
}

function Comments({ comments }) {
  return html`<${Panel} title=${t("alerts.comments")} of=${comments.length || ""} empty=${!comments.length && t("alerts.comments.none")}>
    <ol class="plain lines">${comments.map((one, at) => html`<li key=${at}>
      <span class="grow"><b>${one.commented_by}</b> <span class="dim">${one.alert_title}</span><br />${one.comment}</span>
      <span class="dim number"><${Moment} iso=${one.commented_at} seconds=${false} /></span></li>`)}</ol><//>`;
}
