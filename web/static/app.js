// The page holds one record per camera and changes only what differs. Rows come by WebSocket; the
// server repeats the current ones at least every five seconds, so silence means a broken connection.

import { Connection, ask } from "./asking.js";
import { $, dayAndTime, drawing, element, setText, time } from "./elements.js";
import { watchServers } from "./servers.js";
import { watchSimulated } from "./simulated.js";

const LEVELS = ["SEVERE", "HIGH", "MODERATE", "LOW", "UNKNOWN"];
const BARS = { SEVERE: 4, HIGH: 3, MODERATE: 2, LOW: 1, UNKNOWN: 0 };
const SPARK_WINDOWS = 60;
const SILENT_AFTER_MS = 30_000;
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const cameras = new Map();
const view = { level: null, filter: "", order: "level", heard: false, dirty: false, health: null, connection: "waiting" };

// ---- small pictures

function levelIcon(level) {
  const icon = drawing("svg", { width: 16, height: 14, viewBox: "0 0 16 14", "aria-hidden": "true" });
  for (let bar = 0; bar < 4; bar++) {
    const height = 4 + bar * 3;
    const filled = bar < BARS[level];
    icon.append(drawing("rect", { x: bar * 4, y: 13 - height, width: 3, height, rx: 0.8, fill: "currentColor", opacity: filled ? 1 : 0.22 }));
  }
  return icon;
}

// ---- cameras

function addCamera(id) {
  const camera = { id, row: null, start: 0, end: 0, changedAt: 0, windows: new Map(), filled: false, onScreen: false, lanes: new Map(), lanesAt: 0 };
  const item = element("li");
  const button = element("button", "row");
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  const parts = {
    arrow: element("span", "arrow", "▶"),
    name: element("span", "name", id),
    level: element("span", "level"),
    score: element("span", "score"),
    vehicles: element("span", "number vehicles"),
    speed: element("span", "number speed"),
    classes: element("span", "classes"),
    spark: drawing("svg", { class: "spark", viewBox: "0 0 190 28", preserveAspectRatio: "none", "aria-hidden": "true" }),
    age: element("span", "number age"),
  };
  parts.arrow.setAttribute("aria-hidden", "true");
  parts.name.title = id;
  parts.area = drawing("path", { class: "area" });
  parts.line = drawing("path", {});
  parts.spark.append(parts.area, parts.line);
  const bar = element("span", "bar");
  parts.fill = element("i");
  parts.scoreText = element("span");
  bar.append(parts.fill);
  parts.score.append(bar, parts.scoreText);
  button.append(parts.arrow, parts.name, parts.level, parts.score, parts.vehicles, parts.speed, parts.classes, parts.spark, parts.age);
  button.addEventListener("click", () => toggle(camera));
  item.append(button);
  item.addEventListener("animationend", () => item.classList.remove("updated"));
  Object.assign(camera, { item, button, parts });
  item.camera = camera;
  cameras.set(id, camera);
  seen.observe(item);
  return camera;
}

function takeRows(rows) {
  view.heard = true;
  for (const row of rows) {
    const start = Date.parse(row.window_start);
    const camera = cameras.get(row.camera_id) ?? addCamera(row.camera_id);
    camera.windows.set(start, row.vehicle_count);
    if (camera.windows.size > 2 * SPARK_WINDOWS) forgetOld(camera);
    if (start < camera.start) continue;
    const first = camera.row === null;
    const newer = start > camera.start;
    camera.row = row;
    camera.start = start;
    camera.end = Date.parse(row.window_end);
    if (newer) {
      camera.changedAt = first ? Math.min(Date.now(), camera.end) : Date.now();
      if (!first && camera.onScreen) camera.item.classList.add("updated");
    }
    camera.dirty = true;
  }
  schedule();
}

function drawCamera(camera) {
  const { row, parts, item } = camera;
  const level = row.congestion_level;
  if (item.dataset.level !== level) {
    item.dataset.level = level;
    parts.level.replaceChildren(levelIcon(level), level);
  }
  const score = row.congestion_score;
  parts.fill.style.width = `${(score ?? 0) * 100}%`;
  setText(parts.scoreText, score === null ? "–" : score.toFixed(2));
  setText(parts.vehicles, number.format(row.vehicle_count));
  setText(parts.speed, row.avg_speed_kmh === null ? "–" : row.avg_speed_kmh.toFixed(1));
  const classes = Object.entries(row.counts_by_class).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const text = classes.map(([name, count]) => `${name} ${count}`).join(" · ");
  setText(parts.classes, text);
  parts.classes.title = text;
  parts.age.title = dayAndTime.format(camera.end);
  drawSpark(camera);
  if (camera.detail) drawDetail(camera);
  camera.dirty = false;
}

function forgetOld(camera) {
  const since = camera.start - (SPARK_WINDOWS - 1) * (camera.end - camera.start);
  for (const start of camera.windows.keys()) if (start < since) camera.windows.delete(start);
  return since;
}

function drawSpark(camera) {
  const size = camera.end - camera.start;
  const since = forgetOld(camera);
  const starts = [...camera.windows.keys()].sort((a, b) => a - b);
  const most = Math.max(5, ...camera.windows.values());
  const x = (start) => ((start - since) / size / (SPARK_WINDOWS - 1)) * 186 + 2;
  const y = (count) => 26 - (count / most) * 23;
  let line = "";
  let area = "";
  let previous = null;
  let begin = 0;
  for (const start of starts) {
    const place = `${x(start).toFixed(1)} ${y(camera.windows.get(start)).toFixed(1)}`;
    if (previous === null || start - previous > size * 1.5) {
      if (previous !== null) area += `L${x(previous).toFixed(1)} 27L${begin} 27Z`;
      begin = x(start).toFixed(1);
      line += `M${place}h.01`;
      area += `M${place}`;
    } else {
      line += `L${place}`;
      area += `L${place}`;
    }
    previous = start;
  }
  if (previous !== null) area += `L${x(previous).toFixed(1)} 27L${begin} 27Z`;
  camera.parts.line.setAttribute("d", line);
  camera.parts.area.setAttribute("d", area);
}

// Only what is on the screen is drawn, and only for that the windows before this page was opened are asked.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const camera = entry.target.camera;
    camera.onScreen = entry.isIntersecting;
    if (entry.isIntersecting && !camera.filled) {
      camera.filled = true;
      waitingForHistory.push(camera);
    }
  }
  fetchHistory();
  schedule();
}, { rootMargin: "300px" });
const waitingForHistory = [];
let fetching = 0;

let historyPausedUntil = 0;

function fetchHistory() {
  while (fetching < 3 && waitingForHistory.length && Date.now() >= historyPausedUntil) {
    const camera = waitingForHistory.shift();
    fetching++;
    fillHistory(camera).catch(() => {
      // the history may be away for a while; the line grows with the live rows meanwhile
      historyPausedUntil = Date.now() + 20_000;
      waitingForHistory.push(camera);
    }).finally(() => { fetching--; fetchHistory(); });
  }
}

async function fillHistory(camera) {
  const size = camera.end - camera.start;
  const query = new URLSearchParams({ camera_id: camera.id, from: (camera.start - SPARK_WINDOWS * size) / 1000, to: camera.start / 1000 });
  for (const row of await ask(`/metrics/history?${query}`)) {
    const start = Date.parse(row.window_start);
    if (!camera.windows.has(start)) camera.windows.set(start, row.vehicle_count);
  }
  camera.dirty = true;
  schedule();
}

// ---- lanes of an opened camera

function toggle(camera) {
  if (camera.detail) {
    camera.connection.stop();
    camera.detail.remove();
    camera.detail = null;
    camera.button.setAttribute("aria-expanded", "false");
    return;
  }
  camera.detail = element("div", "detail");
  camera.item.append(camera.detail);
  camera.button.setAttribute("aria-expanded", "true");
  const query = new URLSearchParams({ camera_id: camera.id, changes: true });
  camera.connection = new Connection(`/ws/metrics/lanes?${query}`, (rows) => {
    for (const row of rows) {
      const start = Date.parse(row.window_start);
      if (start < camera.lanesAt) continue;
      if (start > camera.lanesAt) camera.lanes.clear();
      camera.lanesAt = start;
      camera.lanes.set(row.lane_id, row);
    }
    camera.dirty = true;
    schedule();
  });
  drawDetail(camera);
}

function drawDetail(camera) {
  const table = element("table");
  const when = camera.lanesAt ? `${time.format(camera.lanesAt)} – ${time.format(camera.lanesAt + (camera.end - camera.start))}` : "";
  table.append(element("caption", "", camera.lanes.size ? `Lanes, window ${when}` : "No lane has reported in this window."));
  if (camera.lanes.size) {
    const head = element("tr");
    for (const title of ["Lane", "Level", "Score", "Vehicles", "km/h", "Stopped", "Queue", "By class"]) {
      const cell = element("th", title === "By class" || title === "Level" ? "left" : "", title);
      cell.scope = "col";
      head.append(cell);
    }
    const body = element("tbody");
    for (const row of [...camera.lanes.values()].sort((a, b) => a.lane_id - b.lane_id)) {
      const line = element("tr");
      line.dataset.level = row.congestion_level;
      const lane = element("th", "", String(row.lane_id));
      lane.scope = "row";
      const level = element("td", "left");
      const word = element("span", "level");
      word.append(levelIcon(row.congestion_level), row.congestion_level);
      level.append(word);
      const classes = Object.entries(row.counts_by_class).filter(([, count]) => count > 0).map(([name, count]) => `${name} ${count}`);
      line.append(
        lane,
        level,
        element("td", "", row.congestion_score === null ? "–" : row.congestion_score.toFixed(2)),
        element("td", "", number.format(row.vehicle_count)),
        element("td", "", row.avg_speed_kmh === null ? "–" : row.avg_speed_kmh.toFixed(1)),
        element("td", "", row.stopped_ratio === null ? "–" : `${Math.round(row.stopped_ratio * 100)} %`),
        element("td", "", number.format(row.queue_length)),
        element("td", "left", classes.join(" · ")),
      );
      body.append(line);
    }
    const header = element("thead");
    header.append(head);
    table.append(header, body);
  }
  camera.detail.replaceChildren(table);
}

// ---- the list

function byOrder(a, b) {
  const name = a.id < b.id ? -1 : 1;
  switch (view.order) {
    case "camera": return name;
    case "vehicles": return b.row.vehicle_count - a.row.vehicle_count || name;
    case "speed": return (a.row.avg_speed_kmh ?? Infinity) - (b.row.avg_speed_kmh ?? Infinity) || name;
    case "age": return a.end - b.end || name;
    default:
      return LEVELS.indexOf(a.row.congestion_level) - LEVELS.indexOf(b.row.congestion_level)
        || (b.row.congestion_score ?? 0) - (a.row.congestion_score ?? 0) || name;
  }
}

let arrangedAt = 0;

// Rows must not jump away from under a pointer or the keyboard, nor more often than eyes can follow.
function arrange(now) {
  const list = $("list");
  const busy = list.matches(":hover") || list.contains(document.activeElement);
  const fresh = [...cameras.values()].some((camera) => !camera.item.isConnected);
  if (!view.dirty && !fresh && (busy || now - arrangedAt < 4000)) return;
  const active = document.activeElement;
  view.dirty = false;
  const sorted = [...cameras.values()].sort(byOrder);
  let place = list.firstElementChild;
  for (const { item } of sorted) {
    if (item === place) place = place.nextElementSibling;
    else {
      list.insertBefore(item, place);
      arrangedAt = now;
    }
  }
  if (active !== document.activeElement && active.isConnected) active.focus({ preventScroll: true });
}

function fits(camera) {
  return (view.level === null || camera.row.congestion_level === view.level) && camera.id.toLowerCase().includes(view.filter);
}

function ageText(camera, now) {
  const age = Math.max(0, now - camera.end) / 1000;
  if (age < 100) return `${Math.round(age)} s ago`;
  if (age < 5400) return `${Math.round(age / 60)} min ago`;
  return age < 86_400 ? time.format(camera.end) : dayAndTime.format(camera.end);
}

const levelButtons = new Map();
for (const level of LEVELS) {
  const button = element("button");
  button.type = "button";
  button.dataset.level = level;
  button.setAttribute("aria-pressed", "false");
  const word = element("span", "level");
  word.append(levelIcon(level), level);
  const count = element("b", "", "0");
  button.append(count, word);
  button.addEventListener("click", () => {
    view.level = view.level === level ? null : level;
    for (const [name, { button: other }] of levelButtons) other.setAttribute("aria-pressed", String(name === view.level));
    schedule();
  });
  levelButtons.set(level, { button, count });
  $("levels").append(button);
}

function draw() {
  scheduled = false;
  const now = Date.now();
  const counts = Object.fromEntries(LEVELS.map((level) => [level, 0]));
  let vehicles = 0;
  let queue = 0;
  let speedSum = 0;
  let speedWeight = 0;
  let newest = 0;
  let shown = 0;
  let live = 0;
  for (const camera of cameras.values()) {
    const silent = now - camera.changedAt > SILENT_AFTER_MS;
    if (camera.onScreen) {
      if (camera.dirty) drawCamera(camera);
      camera.item.classList.toggle("stale", silent);
      setText(camera.parts.age, ageText(camera, now));
    }
    const visible = fits(camera);
    if (camera.item.hidden === visible) camera.item.hidden = !visible;
    shown += visible;
    newest = Math.max(newest, camera.end);
    if (silent) continue;
    live++;
    const row = camera.row;
    counts[row.congestion_level]++;
    vehicles += row.vehicle_count;
    queue += row.queue_length;
    if (row.avg_speed_kmh !== null) {
      // as in /api/dashboard/summary: a camera weighs as many times as it saw vehicles
      speedSum += row.avg_speed_kmh * row.vehicle_count;
      speedWeight += row.vehicle_count;
    }
  }
  arrange(now);
  for (const [level, { count }] of levelButtons) setText(count, String(counts[level]));
  setText($("total-vehicles"), live ? number.format(vehicles) : "–");
  setText($("total-queue"), live ? number.format(queue) : "–");
  setText($("total-speed"), speedWeight ? `${(speedSum / speedWeight).toFixed(1)} km/h` : "–");
  setText($("clock"), newest ? `newest window ended ${Math.abs(now - newest) < 86_400_000 ? time.format(newest) : dayAndTime.format(newest)}` : "");
  const silentCount = cameras.size - live;
  setText($("shown"), cameras.size ? `${shown} of ${cameras.size} cameras${silentCount ? `, ${silentCount} silent` : ""}` : "");
  $("empty").hidden = !view.heard || cameras.size > 0;
  $("nothing").hidden = cameras.size === 0 || shown > 0;
  document.querySelector(".head").hidden = cameras.size === 0;
  drawNotice(newest);
}

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  // a hidden page gets no animation frames, and must not fall behind for that
  if (document.hidden) setTimeout(draw, 1000);
  else requestAnimationFrame(draw);
}

function drawConnection() {
  const standing = view.connection === "live" && view.health && !(view.health.redis && view.health.kafka);
  const state = standing ? "standing" : view.connection;
  const words = { waiting: "connecting", live: "live", standing: "standing still", lost: "reconnecting" };
  $("connection").dataset.state = state;
  setText($("connection"), words[state]);
}

function drawNotice(newest) {
  drawConnection();
  const figures = newest ? ` The figures below are those of ${dayAndTime.format(newest)}.` : "";
  let text = "";
  if (view.connection === "lost") text = `The connection to the server is lost; trying again.${figures}`;
  else if (view.health && !view.health.redis) text = `Redis is down: rows wait in Kafka and come when it is back.${figures}`;
  else if (view.health && !view.health.kafka) text = `Kafka is down: no new windows until it is back.${figures}`;
  else if (view.health && !view.health.postgres) text = "Postgres is down: live rows go on, the history is filled when it is back.";
  setText($("notice"), text);
  $("notice").hidden = !text;
}

// ---- what people do

$("filter").addEventListener("input", (event) => { view.filter = event.target.value.trim().toLowerCase(); schedule(); });
$("order").addEventListener("change", (event) => { view.order = event.target.value; view.dirty = true; schedule(); });
$("list").addEventListener("mouseleave", schedule);

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    $("filter").focus();
  } else if (event.key === "Escape" && event.target === $("filter")) {
    $("filter").value = "";
    view.filter = "";
    schedule();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.matches(".row")) {
    event.preventDefault();
    const rows = [...document.querySelectorAll("#list > li:not([hidden]) > .row")];
    const next = rows[rows.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) next.focus();
  }
});

new Connection("/ws/metrics?role=viewer&changes=true", takeRows, (state) => {
  if (view.connection === state) return;
  view.connection = state;
  schedule();
});
watchSimulated();
watchServers((health) => {
  view.health = health;
  schedule();
  fetchHistory();
});
setInterval(schedule, 1000);
