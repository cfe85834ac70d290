// Roads now and next: puts the parts of the page together and asks for what they show.

import { ask, askAll, Asking } from "../asking.js";
import { $, agoText, dayAndTime, element, setText, time } from "../elements.js";
import { watchServers } from "../servers.js";
import { watchSimulated } from "../simulated.js";
import { Accuracy } from "./accuracy.js";
import { City, HORIZONS } from "./city.js";
import { briefly, fillDetails, fillSlowest, stepAt } from "./details.js";
import { RoadMap } from "./map.js";
import { Notices } from "./notices.js";
import { RoutePanel } from "./route.js";
import { fillLegend, UNKNOWN } from "./scale.js";
import { Trends } from "./trends.js";

const SPEEDS_EVERY_MS = 10_000;
const FEED_EVERY_MS = 60_000;
const OLD_FORECAST_MS = 5 * 60_000;

const city = new City();
const state = { horizon: 0, looked: null, chosen: null, health: undefined, problems: {}, answered: {}, instead: {} };

const map = new RoadMap($("map"), onLook, onChoose);
const route = new RoutePanel(map);
let asksSoon = null;
const notices = new Notices((id) => chooseRoad(city.roads.get(id), true), () => {
  // the map is to show what the notification tells of
  asksSoon ??= setTimeout(() => {
    asksSoon = null;
    speeds.now();
    forecasts.now();
  }, 500);
});
new Accuracy();
new Trends((id) => chooseRoad(city.roads.get(id), true));
watchSimulated();
fillLegend($("legend"));
fillDetails($("road"), null);

// ---- what people do

function onLook(edge, at) {
  const road = edge?.road ?? null;
  const tip = $("tip");
  tip.hidden = !road;
  if (road) {
    tip.textContent = briefly(road, state.horizon);
    const left = Math.max(4, Math.min(at[0] + 14, map.width - tip.offsetWidth - 4));
    const above = at[1] + 18 + tip.offsetHeight > map.height;
    tip.style.transform = `translate(${left}px, ${above ? at[1] - tip.offsetHeight - 10 : at[1] + 18}px)`;
  }
  if (road === state.looked) return;
  state.looked = road;
  if (road && document.activeElement === $("map")) setText($("map-said"), briefly(road, state.horizon));
  drawRoad();
}

function onChoose(edge, place) {
  if (document.querySelector("[name=click]:checked").value === "route") route.pick(place);
  else {
    chooseRoad(edge?.road ?? null);
    setText($("map-said"), edge ? `Chosen. ${briefly(edge.road, state.horizon)}` : "There is no road here.");
  }
}

function chooseRoad(road, centre = false) {
  if (road === undefined) return;
  state.chosen = road;
  map.mark(road ? road.edges : []);
  if (road && centre) map.centreOn(road.edges);
  drawRoad();
}

for (const input of document.querySelectorAll("[name=horizon]")) {
  input.addEventListener("change", () => {
    state.horizon = Number(input.value);
    draw();
  });
}
for (const input of document.querySelectorAll("[name=click]")) {
  input.addEventListener("change", () => { document.querySelector(".canvas").dataset.click = input.value; });
}
$("road-search").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  const road = [...city.roads.values()].find(({ id, name }) => name.toLowerCase() === wanted || id.toLowerCase() === wanted);
  if (road) chooseRoad(road, true);
});
$("zoom-in").addEventListener("click", () => map.zoom(1.5));
$("zoom-out").addEventListener("click", () => map.zoom(1 / 1.5));
$("zoom-fit").addEventListener("click", () => map.fit());
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input:not([type=radio]), select")) return;
  event.preventDefault();
  $("road-search").focus();
});

// ---- what is drawn

function draw() {
  map.setSteps(Uint8Array.from(city.edges, (edge) => stepAt(edge.road, state.horizon)));
  drawRoad();
  drawSlowest();
  drawMessages();
  setText($("coverage"), answeredText());
}

function answeredText() {
  const known = [...city.roads.values()].filter((road) => stepAt(road, state.horizon) !== UNKNOWN).length;
  return `${known} of ${city.roads.size} roads have a ${state.horizon ? "forecast" : "recent speed"}.`;
}

function drawRoad() {
  fillDetails($("road"), state.looked ?? state.chosen);
}

function drawSlowest() {
  setText($("slowest-when"), state.horizon ? `in ${HORIZONS[state.horizon]} min` : "now");
  fillSlowest($("slowest"), city, state.horizon, (road) => chooseRoad(road, true), (road) => {
    map.mark((road ?? state.chosen)?.edges ?? []);
    state.looked = road;
    drawRoad();
  });
  $("slowest-none").hidden = [...city.roads.values()].some((road) => stepAt(road, state.horizon) !== UNKNOWN);
}

function drawMessages() {
  const now = Date.now();
  const { problems, answered, health } = state;
  const measuredAt = city.newest("now", "last_updated");
  const messages = [];
  const tell = (text, kind = "") => messages.push([text, kind]);
  const since = measuredAt ? ` The speeds shown were measured ${agoText(measuredAt, now)}.` : "";
  if (health === null) tell(`The server does not answer; trying again.${since}`);
  else if (health) {
    if (!health.redis && state.instead.speeds) tell("Redis is down: measured speeds are read from Postgres; forecasts and notifications stand still until it is back.");
    else if (!health.redis) tell(`Redis is down: speeds, forecasts and notifications stand still until it is back.${since}`);
    if (!health.kafka) tell(`Kafka is down: no new speeds until it is back.${since}`);
    if (!health.postgres) tell("Postgres is down: the live map goes on; trends and accuracy wait until it is back.");
  }
  if (city.roads.size && answered.speeds && !city.measured) tell("No road has a recent speed: the feed has sent none in the last ten minutes. All roads are drawn as not known.");
  if (city.strangers) tell(`${city.strangers} roads of the feed are not drawn: the road graph has no road with their names.`);
  const toldAlready = [401, 403, ...(health?.redis ? [] : [503])];
  for (const [what, problem] of Object.entries(problems)) if (problem && health && !toldAlready.includes(problem.status)) tell(`${what} cannot be told now: ${problem.message}.`);
  if (city.measured || city.predicted) tellOfForecasts(tell, now);
  const shown = messages.map(([text, kind]) => `${kind}:${text}`).join("\n");
  if ($("messages").dataset.shown === shown) return;
  $("messages").dataset.shown = shown;
  $("messages").replaceChildren(...messages.map(([text, kind]) => {
    const item = element("li", "", text);
    item.dataset.kind = kind;
    return item;
  }));
}

function tellOfForecasts(tell, now) {
  if (state.answered.forecasts && !city.predicted) return tell("No forecasts yet: the first ones come some seconds after the first speeds.");
  for (const { source, note, count } of city.predictors()) {
    if (source === "model") continue;
    if (source === "closed") {
      tell(`${count === 1 ? "1 road is" : `${count} roads are`} closed to traffic.`);
      continue;
    }
    const which = source === "last_value" ? "the last measured speed" : "the usual speed at this time of day";
    tell(`Forecasts of ${count === city.predicted ? "all" : count} roads are not the model's but ${which} (a baseline)${note ? `: ${note}` : ""}.`);
  }
  const madeAt = city.newest("prediction", "timestamp");
  if (madeAt && now - madeAt > OLD_FORECAST_MS) tell(`The newest forecasts were made ${agoText(madeAt, now)}: forecasting stands still.`);
}

function drawClock() {
  const at = city.newest("now", "last_updated");
  setText($("clock"), at ? `newest speed measured ${Math.abs(Date.now() - at) < 86_400_000 ? time.format(at) : dayAndTime.format(at)}` : "");
  const broken = state.health === null || state.problems.Speeds?.status === 0;
  const standing = state.health && !(state.health.redis && state.health.kafka);
  const connection = broken ? "lost" : standing ? "standing" : state.answered.speeds ? "live" : "waiting";
  $("connection").dataset.state = connection;
  setText($("connection"), { lost: "reconnecting", standing: "standing still", live: "live", waiting: "connecting" }[connection]);
}

// ---- what is asked

const network = new Asking(() => ask("/api/roads/network", { timeoutMs: 30_000 }), SPEEDS_EVERY_MS, (collection) => {
  clearTimeout(network.next);
  city.setNetwork(map.setNetwork(collection.features));
  $("map-empty").hidden = true;
  setText($("source"), collection.source ?? "");
  nameRoads();
  // what was told before there were roads to put it on
  for (const asked of [feed, speeds, forecasts]) asked.now();
  draw();
}, (problem) => {
  const words = problem.status === 401 ? "The roads are drawn when a token is given." : problem.status === 404 ? "This server has no road graph yet. One is made with: trafficapp graph import" : `The road graph cannot be told now: ${problem.message}.`;
  setText($("map-empty"), words);
});

function nameRoads() {
  $("road-names").replaceChildren(...[...city.roads.values()].map(({ name }) => new Option(name)));
}

// without Postgres the free flow of the graph stands in, as the details of each road say
const feed = new Asking(() => askAll("/api/roads"), FEED_EVERY_MS, ({ rows }) => {
  const before = city.roads.size;
  city.setFeed(rows);
  if (city.roads.size !== before) {
    nameRoads();
    speeds.now();
    forecasts.now();
  }
  draw();
}, () => {});

function asking(what, path, take) {
  const key = what.toLowerCase();
  return new Asking(() => askAll(path), SPEEDS_EVERY_MS, ({ rows, instead }) => {
    state.problems[what] = null;
    state.answered[key] = true;
    state.instead = { ...state.instead, [key]: instead };
    take(rows);
    drawClock();
    draw();
  }, (problem) => {
    state.problems[what] = problem;
    drawClock();
    drawMessages();
  });
}
const speeds = asking("Speeds", "/traffic/current", (rows) => city.setMeasured(rows));
const forecasts = asking("Forecasts", "/api/predict/roads", (rows) => {
  const before = city.newest("prediction", "timestamp");
  city.setPredicted(rows);
  if (city.newest("prediction", "timestamp") !== before) route.ask(true);
});

watchServers((health) => {
  // nothing comes on the socket for hours: that it is dead shows in other answers first
  if (state.health === null && health && notices.state === "live") notices.connection.drop();
  state.health = health;
  drawClock();
  drawMessages();
});
