// Congestion events that go on, with what is folded into them: alerts of their cameras, messages of their roads.

import { html, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { sorted } from "../live/alerts.js";
import { hasFeed } from "../live/settings.js";
import { number } from "../components/numbers.js";
import { Facts, Panel } from "../components/panel.js";
import { Severity } from "../components/words.js";
import { linkTo } from "../shell/route.js";
import { Age, Moment } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";
import { AlertList } from "./list.js";

export const EVENTS = "/api/congestion/events?limit=1000";

/** Those that go on, the longest queue first. */
export const goingOn = (events) => (events ?? []).filter(({ state }) => state !== "ended").sort((a, b) => b.length_m - a.length_m);

const nameOf = ({ road_name, road_id }) => road_name || road_id;

export const queueOf = (event) => t("alerts.event.queue", { metres: number(event.length_m), roads: event.roads.length });

/** What a rule suspects: never said as if somebody had seen it. */
export function Suspected({ told }) {
  return html`<span>${wordOf("incidents.suspected", told.state)}, ${t("incidents.suspected.confidence", { share: number(100 * told.confidence) })} <span class="dim">${told.evidence}</span></span>`;
}

/** What is known of an event, for people. */
export function EventFacts({ event }) {
  return html`<${Facts} entries=${[
    [t("alerts.event.head"), html`<a href=${linkTo("roads", { road: event.head.road_id })}>${nameOf(event.head)}</a>`],
    [t("alerts.event.tail"), nameOf(event.tail)],
    [t("alerts.event.length"), `${number(event.length_m)} m`],
    [t("alerts.event.state"), wordOf("alerts.event", event.state)],
    [t("alerts.event.delay"), number(event.delay_vehicle_hours, 1)],
    event.cause && [t("alerts.event.cause"), event.cause.description],
    event.suspected_incident && [t("incidents.suspected.one"), html`<${Suspected} told=${event.suspected_incident} />`],
    [t("alerts.event.since"), html`<${Moment} iso=${event.began_at} seconds=${false} />`],
  ]} />`;
}

export function Events({ onChoose, chosenAlert }) {
  const [chosen, setChosen] = useState(null);
  const answer = useAnswer(hasFeed("congestion-events") ? EVENTS : null, { every: 10_000 });
  const events = goingOn(answer.body);
  return html`<${Panel} title=${t("alerts.events")} of=${events.length || ""} answer=${answer} empty=${answer.body && !events.length && t("alerts.events.none")}>
    <ol class="plain picks">${events.map((event) => html`<li key=${event.event_id}>
      <button type="button" class="pick" aria-expanded=${chosen === event.event_id} onClick=${() => setChosen(chosen === event.event_id ? null : event.event_id)}>
        <${Severity} severity=${event.severity} />
        <span class="grow"><b>${nameOf(event.head)}</b> <span class="dim">${queueOf(event)} · ${wordOf("alerts.event", event.state)}${event.cause ? ` · ${event.cause.description}` : ""}</span></span>
        <span class="dim number"><${Age} iso=${event.began_at} /></span>
      </button>
      ${chosen === event.event_id && html`<${Beneath} event=${event} onChoose=${onChoose} chosenAlert=${chosenAlert} />`}
    </li>`)}</ol>
  <//>`;
}

function Beneath({ event, onChoose, chosenAlert }) {
  const one = useAnswer(`/api/congestion/events/${event.event_id}`, { every: 30_000 });
  const told = useAnswer(`/api/notifications?${new URLSearchParams({ grouped: false, limit: 500, from: event.began_at })}`, { every: 30_000 });
  const cameras = new Set(one.body?.cameras ?? []);
  const alerts = sorted.value.filter(({ camera_id }) => cameras.has(camera_id));
  const messages = (told.body ?? []).filter(({ congestion_event_id }) => congestion_event_id === event.event_id);
  return html`<div class="stack">
    <${EventFacts} event=${event} />
    ${alerts.length > 0 && html`<${AlertList} alerts=${alerts} chosen=${chosenAlert} onChoose=${onChoose} />`}
    ${messages.length > 0 && html`<ul class="plain">${messages.map((message) => html`<li key=${message.event_id} class="dim">${message.message}</li>`)}</ul>`}
  </div>`;
}
