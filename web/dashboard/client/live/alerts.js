// Open alerts. They come whole at the begin, then step by step over /ws/events, which resumes after a break where it was: nothing is
// missed. While it is not to be had they are asked for every few seconds.

import { computed, effect, signal } from "../vendor/preact.mjs";
import { Connection, sockets } from "./connection.js";
import { ask, identity } from "./api.js";

const STEPS = ["new_alert", "alert_updated", "alert_acknowledged", "alert_resolved"];
const SEVERITIES = ["EMERGENCY", "CRITICAL", "WARNING"];
const NAME = "alerts";
/** Of an alert that is no alarm yet; steps do not say more of it. */
const HELD = { how: "held", by: "on_delay", reason: "", until: null };

/** Open alerts by id; null before they were told. */
export const open = signal(null);
/** Since when (text) the worker hears nothing of events; null while it does. */
export const staleSince = signal(null);
/** The last step of an alert or broadcast, for who tells people of it: `{event, data, number}`. */
export const news = signal(null);

/** What people are told of comes first. */
export const sorted = computed(() => {
  const rank = (alert) => SEVERITIES.indexOf(alert.severity) + (alert.withheld ? SEVERITIES.length : 0);
  return [...(open.value?.values() ?? [])].sort((a, b) => rank(a) - rank(b) || Date.parse(b.triggered_at) - Date.parse(a.triggered_at) || (a.id < b.id ? -1 : 1));
});
/** Those about the traffic, not about silent cameras, that people are told of. */
export const active = computed(() => sorted.value.filter((alert) => alert.alert_type !== "camera_silent" && !alert.withheld));

let seen = null;
let count = 0;
let next = null;

function address() {
  const query = new URLSearchParams({ types: [...STEPS, "admin_broadcast", "snapshot", "heartbeat"].join(","), include: "quality" });
  if (seen !== null) query.set("resume_after", seen);
  return `/ws/events?${query}`;
}

function take({ event, data, seq }) {
  if (Number.isInteger(seq) && (seen === null || seq > seen)) seen = seq;
  if (event === "heartbeat") staleSince.value = data.stale_since ?? null;
  else if (event === "resync") {
    // what was missed is not known any more, and numbers may have begun anew
    seen = seq;
    askForAll();
  } else if (event === "snapshot") askForAll();
  else {
    if (STEPS.includes(event)) apply(event, data);
    news.value = { event, data, number: ++count };
  }
}

function apply(event, data) {
  const alerts = new Map(open.peek() ?? []);
  if (event === "alert_resolved") alerts.delete(data.id);
  else if (event === "alert_acknowledged") {
    // it says nothing else, and what it says besides may be older than what is shown
    const before = alerts.get(data.id);
    const { acknowledged_by, acknowledged_at } = data;
    if (before) alerts.set(data.id, { ...before, acknowledged: true, acknowledged_by, acknowledged_at });
  } else {
    // of a new alert severity is the level
    const severity = data.alert_severity ?? data.severity;
    const withheld = data.withheld ?? (data.alarm_at === null ? HELD : null);
    alerts.set(data.id, { ...alerts.get(data.id), ...data, severity, withheld });
  }
  open.value = alerts;
}

export async function askForAll() {
  clearTimeout(next);
  let live = sockets.peek()[NAME] === "live";
  try {
    const alerts = await ask("/api/alerts/current?include=quality", { timeoutMs: 4000 });
    open.value = new Map(alerts.map((alert) => [alert.id, alert]));
  } catch {
    live = false;
  }
  clearTimeout(next);
  next = setTimeout(askForAll, live ? 60_000 : 5000);
}

export function startAlerts() {
  new Connection(NAME, address, take, { silentMs: 40_000 });
  effect(() => {
    identity.value;
    askForAll();
  });
}
