// A route in words: which way to turn into which road.

import { html } from "../vendor/preact.mjs";
import { number } from "../components/numbers.js";
import { t } from "../texts/index.js";

const TURN_DEGREES = 35;
const METRES_PER_DEGREE = 111_195;

function vector(from, to) {
  const stretch = Math.cos((from.lat * Math.PI) / 180);
  return [(to.lng - from.lng) * stretch * METRES_PER_DEGREE, (to.lat - from.lat) * METRES_PER_DEGREE];
}

const lengthOf = ([x, y]) => Math.hypot(x, y);

/** Steps `{turn, name, metres}` from the waypoints of a route; a waypoint tells the road that is followed from it on. */
export function stepsOf(waypoints) {
  const steps = [];
  for (let at = 0; at + 1 < waypoints.length; at++) {
    const ahead = vector(waypoints[at], waypoints[at + 1]);
    const name = waypoints[at].road_name || waypoints[at + 1].road_name || "";
    const before = steps.at(-1);
    if (before && (before.name === name || !name)) before.metres += lengthOf(ahead);
    else steps.push({ turn: before ? turnOf(vector(waypoints[at - 1], waypoints[at]), ahead) : "continue", name, metres: lengthOf(ahead) });
  }
  return steps;
}

function turnOf([ax, ay], [bx, by]) {
  const degrees = (Math.atan2(ax * by - ay * bx, ax * bx + ay * by) * 180) / Math.PI;
  return Math.abs(degrees) < TURN_DEGREES ? "continue" : degrees > 0 ? "left" : "right";
}

export function metresText(metres) {
  return metres < 1000 ? `${number(metres)} m` : `${number(metres / 1000, 1)} km`;
}

export function Directions({ route }) {
  const steps = stepsOf(route.waypoints);
  return html`<ol class="directions">
    <li>${t("routes.start")}</li>
    ${steps.map(({ turn, name, metres }) => html`<li>${t(`routes.${turn}`, { name: name || t("routes.unnamed") })} <span class="dim">${metresText(metres)}</span></li>`)}
    <li>${t("routes.end")}</li>
  </ol>`;
}
