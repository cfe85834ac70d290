// Open alerts. They come whole at the begin, then step by step over /ws/events; while that is not to be had
// they are asked for every few seconds.

import { ask as askServer, Connection } from "./asking.js";
import { $, agoText, dayAndTime, element, setText } from "./elements.js";

const SEVERITIES = ["EMERGENCY", "CRITICAL", "WARNING"];
const WORDS = { congestion: "congestion", stopped_traffic: "traffic stands", incident: "incident", manual: "by hand", camera_silent: "camera silent" };
const STEPS = ["new_alert", "alert_updated", "alert_acknowledged", "alert_resolved"];
const SHOWN_AT_MOST = 50;
const open = new Map();
let live = false;
let known = false;
let away = false;

function fill(alerts) {
  const ids = new Set(alerts.map((alert) => alert.id));
  for (const [id, { item }] of open) {
    if (ids.has(id)) continue;
    item.remove();
    open.delete(id);
  }
  for (const alert of alerts) take(alert);
  known = true;
  drawAlerts();
}

function take(alert) {
  const entry = open.get(alert.id) ?? addAlert(alert.id);
  entry.alert = { ...entry.alert, ...alert };
  const { item, parts } = entry;
  const now = entry.alert;
  item.dataset.severity = now.severity;
  setText(parts.severity, now.severity);
  setText(parts.title, now.title);
  setText(parts.camera, now.road_segment ? `${now.camera_id} · ${now.road_segment}` : now.camera_id ?? "");
  setText(parts.kind, WORDS[now.alert_type] ?? now.alert_type);
  setText(parts.message, now.message);
  setText(parts.taken, now.acknowledged_by ? `taken on by ${now.acknowledged_by}` : "");
  entry.at = Date.parse(now.triggered_at);
  parts.since.dateTime = now.triggered_at;
  parts.since.title = dayAndTime.format(entry.at);
}

function addAlert(id) {
  const item = element("li");
  const details = element("details");
  const summary = element("summary");
  const parts = {
    severity: element("span", "severity"),
    title: element("span", "alert-title"),
    camera: element("span", "alert-camera"),
    kind: element("span", "dim"),
    taken: element("span", "dim"),
    since: element("time", "dim"),
    message: element("p", "alert-message"),
    why: element("dl", "why"),
  };
  summary.append(parts.severity, parts.title, parts.camera, parts.kind, parts.taken, parts.since);
  details.append(summary, parts.message, parts.why);
  details.addEventListener("toggle", () => { if (details.open) explain(id).catch(() => {}); });
  item.append(details);
  const entry = { item, parts, alert: {}, at: 0 };
  open.set(id, entry);
  return entry;
}

async function explain(id) {
  const alert = await askServer(`/api/alerts/${encodeURIComponent(id)}`);
  const entry = open.get(id);
  if (!entry) return;
  const lines = [["Rule", alert.rule], ["Since", dayAndTime.format(Date.parse(alert.since))], ["Updated", dayAndTime.format(Date.parse(alert.updated_at))]];
  for (const [name, value] of Object.entries(alert.values)) lines.push([name, value === null ? "–" : String(value)]);
  entry.parts.why.replaceChildren(...lines.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]));
}

function drawAlerts() {
  const now = Date.now();
  const rank = (entry) => SEVERITIES.indexOf(entry.alert.severity);
  const sorted = [...open.values()].sort((a, b) => rank(a) - rank(b) || b.at - a.at || (a.alert.id < b.alert.id ? -1 : 1));
  const list = $("alert-list");
  // an alert must not jump away from under a pointer or the keyboard
  const busy = list.matches(":hover") || list.contains(document.activeElement);
  if (!busy || sorted.some(({ item }) => !item.isConnected)) {
    let place = list.firstElementChild;
    for (const { item } of sorted.slice(0, SHOWN_AT_MOST)) {
      if (item === place) place = place.nextElementSibling;
      else list.insertBefore(item, place);
    }
    for (const { item } of sorted.slice(SHOWN_AT_MOST)) item.remove();
  }
  for (const { parts, at } of sorted) setText(parts.since, agoText(at, now));
  const counts = SEVERITIES.map((severity) => [sorted.filter(({ alert }) => alert.severity === severity).length, severity.toLowerCase()]);
  const more = sorted.length > SHOWN_AT_MOST ? `, the first ${SHOWN_AT_MOST} below` : "";
  let text = counts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(", ") + more;
  if (!known) text = away ? "not known now" : "";
  else if (!sorted.length) text = "none";
  if (known && away) text += " (as of a while ago: the server does not answer)";
  setText($("alert-count"), text);
  $("alert-count").dataset.none = String(!sorted.length);
}

let asking = null;

async function ask() {
  clearTimeout(asking);
  try {
    const alerts = await askServer("/api/alerts/current?include=quality", { timeoutMs: 4000 });
    away = false;
    fill(alerts);
  } catch {
    away = true;
    drawAlerts();
  }
  clearTimeout(asking);
  asking = setTimeout(ask, live ? 60_000 : 5000);
}

const query = new URLSearchParams({ types: [...STEPS, "snapshot", "heartbeat"].join(","), include: "quality" });
new Connection(`/ws/events?${query}`, (envelope) => {
  if (STEPS.includes(envelope.event)) {
    if (envelope.event === "alert_resolved") {
      open.get(envelope.data.id)?.item.remove();
      open.delete(envelope.data.id);
    } else if (envelope.event !== "alert_acknowledged") {
      // of a new alert severity is the level
      const severity = envelope.data.alert_severity ?? envelope.data.severity;
      take({ ...envelope.data, severity });
    }
    else if (open.has(envelope.data.id)) {
      // it says nothing else, and what it says besides may be older than what is shown
      const { id, acknowledged_by, acknowledged_at } = envelope.data;
      take({ id, acknowledged_by, acknowledged_at });
    }
    drawAlerts();
  } else if (envelope.event === "snapshot" || envelope.event === "resync") ask();
}, (state) => {
  if (live === (state === "live")) return;
  live = state === "live";
  ask();
}, 40_000);
ask();
setInterval(drawAlerts, 1000);
