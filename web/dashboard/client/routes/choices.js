// The ways that were found: how long, how sure, why.

import { html } from "../vendor/preact.mjs";
import { number } from "../components/numbers.js";
import { Icon } from "../shell/icons.js";
import { ageText, timeText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Directions, metresText } from "./directions.js";
import { intervalOf } from "./interval.js";

const JAMS = 5;

export function minutesText(minutes) {
  if (minutes < 1) return t("routes.seconds", { n: number(minutes * 60) });
  return t("routes.minutes", { n: number(minutes, minutes < 10 ? 1 : 0) });
}

export function RouteChoices({ answer, routes, chosen, onChoose, changed, at }) {
  const leaves = Date.parse(answer.departure_time);
  const names = [...new Set((answer.avoided ?? []).map((road) => road.road_name || t("routes.unnamed")))];
  // those that cost most are reason enough
  const worst = [...(answer.jams ?? [])].sort((a, b) => b.delay_minutes - a.delay_minutes).slice(0, JAMS);
  const jams = worst.map((jam) => t("routes.jam", { name: jam.road_name || t("routes.unnamed"), time: minutesText(jam.delay_minutes) }));
  const why = [
    t(`routes.speeds.${answer.speeds_from}`),
    answer.note && sentence(answer.note),
    names.length > 0 && t("routes.avoided", { names: names.join(", ") }),
    jams.length > 0 && t("routes.jams", { names: jams.join(", ") }),
    ...(answer.incidents ?? []).map((told) => t(`routes.incident.${told.where}`, { what: told.incident_type, name: told.road_name || t("routes.unnamed") })),
    answer.moved_note && sentence(answer.moved_note),
  ].filter(Boolean);
  return html`
    ${changed.route && html`<p class="by baseline" role="status">${t("routes.changed")}</p>`}
    <div class="route-list">${routes.map((route, position) => html`<${Choice} key=${position} route=${route} position=${position} first=${routes[0]} chosen=${position === chosen} leaves=${leaves} onChoose=${() => onChoose(position)} />`)}</div>
    ${routes.length === 1 && html`<p class="dim">${t("routes.no.alternative")}</p>`}
    <p class="by"><b>${t("routes.why")}.</b> ${why.join(" ")} ${t("routes.again", { age: ageText(at) })}</p>
    <section><h3>${t("routes.directions")}</h3><${Directions} route=${routes[chosen] ?? routes[0]} />
      <p class="tools actions"><button type="button" class="button" onClick=${() => print()}><${Icon} name="print" /> ${t("routes.print")}</button></p></section>`;
}

function Choice({ route, position, first, chosen, leaves, onChoose }) {
  const interval = intervalOf(route, (leaves - Date.now()) / 60_000 + route.eta_minutes);
  const later = route.eta_minutes - first.eta_minutes;
  return html`<button type="button" class="route-choice" aria-pressed=${chosen} onClick=${onChoose}>
    <span>${position ? t("routes.alternative", { n: position }) : t("routes.recommended")}</span><b>${minutesText(route.eta_minutes)}</b><span class="number">${metresText(route.distance_km * 1000)}</span>
    <span class="why">${t("routes.arrival", { time: timeText(leaves + route.eta_minutes * 60_000, { seconds: false }) })}, ${interval ? t("routes.between", { low: minutesText(interval[0]), high: minutesText(interval[1]) }) : t("routes.no.interval")}${position ? ` · ${later * 60 < 1 ? t("routes.as.quick") : t("routes.longer", { time: minutesText(later) })}` : ""}</span>
    <span class="why">${route.congestion_summary.text}</span>
  </button>`;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
