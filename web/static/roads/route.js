// Which way to go: two places and a departure in, a recommended route and its alternatives out.

import { ask } from "../asking.js";
import { $, element, setText } from "../elements.js";

const LETTERS = ["A", "B"];
const FIELDS = ["route-from", "route-to"];
const SPEEDS_FROM = {
  predictions: "By measured and predicted speeds.",
  usual_speeds: "By the usual speeds at that time of day.",
  free_flow: "By the speeds of empty roads: nothing is known of the traffic.",
};
const PLACE = /^\s*(-?\d{1,2}(?:\.\d+)?)\s*[,;\s]\s*(-?\d{1,3}(?:\.\d+)?)\s*$/;

export class RoutePanel {
  constructor(map) {
    Object.assign(this, { map, ends: [null, null], routes: [], chosen: 0, asked: 0 });
    FIELDS.forEach((id, at) => $(id).addEventListener("change", () => this.type(at)));
    $("route-form").addEventListener("submit", (event) => {
      event.preventDefault();
      FIELDS.forEach((_, at) => this.type(at, false));
      this.ask();
    });
    $("departure").addEventListener("change", () => this.ask());
    $("route-clear").addEventListener("click", () => this.clear());
  }

  /** A place from the map: the start, then the destination, then a new start. */
  pick(place) {
    const at = this.ends[0] && !this.ends[1] ? 1 : 0;
    if (at === 0) this.clear();
    this.put(at, place);
    if (at === 0) this.say("Now the destination.");
    else this.ask();
  }

  put(at, place) {
    this.ends[at] = { lat: Number(place.lat.toFixed(6)), lng: Number(place.lng.toFixed(6)) };
    $(FIELDS[at]).value = `${this.ends[at].lat}, ${this.ends[at].lng}`;
    this.drawEnds();
  }

  type(at, askNow = true) {
    const text = $(FIELDS[at]).value;
    const found = PLACE.exec(text);
    const place = found && { lat: Number(found[1]), lng: Number(found[2]) };
    const valid = place && Math.abs(place.lat) <= 90 && Math.abs(place.lng) <= 180;
    $(FIELDS[at]).setAttribute("aria-invalid", String(Boolean(text) && !valid));
    this.ends[at] = valid ? place : null;
    this.drawEnds();
    if (text && !valid) this.say("A place is latitude, longitude, such as 44.4949, 11.3426.", true);
    else if (askNow) this.ask();
  }

  clear() {
    this.asked++;
    this.ends = [null, null];
    for (const id of FIELDS) {
      $(id).value = "";
      $(id).removeAttribute("aria-invalid");
    }
    this.show([]);
    this.drawEnds();
    this.say("");
  }

  drawEnds() {
    this.map.setEnds(this.map.plane ? this.ends.flatMap((place, at) => (place ? [{ place, letter: LETTERS[at] }] : [])) : []);
  }

  say(text, wrong = false) {
    $("route-status").dataset.wrong = String(wrong);
    setText($("route-status"), text);
  }

  /** Asks for the places that are set; `again` because the speeds have changed: then the view stays as it is. */
  async ask(again = false) {
    const [origin, destination] = this.ends;
    if (!origin || !destination) return;
    const turn = ++this.asked;
    if (!again) this.say("Looking for the best way …");
    const minutes = Number($("departure").value);
    const departure_time = minutes ? new Date(Date.now() + minutes * 60_000).toISOString() : "now";
    try {
      const answer = await ask("/route/recommend", { body: { origin, destination, departure_time } });
      if (turn !== this.asked) return;
      const before = this.routes.length ? this.routes[this.chosen].places : null;
      this.show([answer.recommended_route, ...answer.alternatives], again);
      setText($("route-note"), SPEEDS_FROM[answer.speeds_from] + (answer.note ? ` ${sentence(answer.note)}` : "") + closedText(answer.avoided));
      const changed = before && JSON.stringify(before) !== JSON.stringify(this.routes[0].places);
      this.say(again ? (changed && this.chosen === 0 ? "The recommended route has changed." : $("route-status").textContent) : spoken(this.routes));
    } catch (problem) {
      if (turn !== this.asked) return;
      if (!again) this.show([]);
      this.say(this.words(problem), true);
    }
  }

  words(problem) {
    const before = this.routes.length ? " The route shown is from before." : "";
    if (problem.status === 0 || problem.status >= 500) return `No route can be told now: ${problem.message}.${before}`;
    return `No route: ${problem.message}.`;
  }

  show(routes, keep = false) {
    this.routes = routes.map((route) => ({ ...route, places: route.waypoints }));
    if (!keep || this.chosen >= routes.length) this.chosen = 0;
    this.buttons = this.routes.map((route, at) => this.button(route, at));
    $("routes").replaceChildren(...this.buttons);
    if (!routes.length) setText($("route-note"), "");
    this.choose(this.chosen);
    if (!keep && routes.length) this.map.fitPlaces(this.routes.flatMap((route) => route.places));
  }

  button(route, at) {
    const item = element("li");
    const button = element("button", "route");
    button.type = "button";
    button.addEventListener("click", () => this.choose(at));
    const title = element("span", "route-name", at ? `Alternative ${at}` : "Recommended");
    const eta = element("b", "", etaText(route.eta_minutes));
    const later = element("span", "dim", at ? ` ${laterText(route.eta_minutes - this.routes[0].eta_minutes)}` : "");
    button.append(title, eta, later, element("span", "number", distanceText(route.distance_km)), element("span", "congestion", route.congestion_summary.text));
    const streets = element("ol", "streets");
    for (const name of streetsOf(route)) streets.append(element("li", "", name));
    item.append(button, streets);
    return item;
  }

  choose(at) {
    this.chosen = at;
    this.buttons.forEach((item, position) => {
      item.firstChild.setAttribute("aria-pressed", String(position === at));
      item.lastChild.hidden = position !== at;
    });
    this.map.setRoutes(this.routes.map((route, position) => ({ places: route.places, chosen: position === at })));
  }
}

function closedText(avoided) {
  const names = [...new Set((avoided ?? []).map((road) => road.road_name || "a road without a name"))];
  return names.length ? ` Keeps off what is closed: ${names.join(", ")}.` : "";
}

function streetsOf(route) {
  const names = [];
  for (const { road_name } of route.waypoints) if (road_name && road_name !== names.at(-1)) names.push(road_name);
  return names;
}

function etaText(minutes) {
  if (minutes < 1) return `${Math.round(minutes * 60)} s`;
  return minutes < 10 ? `${minutes.toFixed(1)} min` : `${Math.round(minutes)} min`;
}

function distanceText(km) {
  return km < 1 ? `${Math.round(km * 1000)} m` : `${km.toFixed(1)} km`;
}

function laterText(minutes) {
  return minutes * 60 < 1 ? "as quick" : `${etaText(minutes)} longer`;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

function spoken(routes) {
  const [best, ...others] = routes;
  const also = others.length ? ` ${others.length} ${others.length === 1 ? "alternative" : "alternatives"}.` : " No alternative is worth it.";
  return `${etaText(best.eta_minutes)}, ${distanceText(best.distance_km)}.${also}`;
}
