// News that people must not overlook, wherever they are: new alerts, broadcasts, what became of what they did.

import { effect, html, signal } from "../vendor/preact.mjs";
import { news } from "../live/alerts.js";
import { replayed } from "../live/servers.js";
import { t } from "../texts/index.js";
import { Icon } from "./icons.js";
import { sound } from "./preferences.js";
import { go } from "./route.js";

const SHOWN_MS = 12_000;
const AT_MOST = 4;
const toasts = signal([]);
let number = 0;

/** Shows a text for a while. */
export function say(text, { title = "", severity, onClick } = {}) {
  const toast = { id: ++number, title, text, severity, onClick };
  toasts.value = [...toasts.peek().slice(1 - AT_MOST), toast];
  setTimeout(() => leave(toast.id), SHOWN_MS);
}

function leave(id) {
  toasts.value = toasts.peek().filter((toast) => toast.id !== id);
}

function beep() {
  try {
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = 740;
    volume.gain.setValueAtTime(0.12, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.5);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.5);
    tone.onended = () => audio.close();
  } catch {
    // no sound here
  }
}

/**
 * Whether a step is one that people are told of: an alert that is new or rises, once it is an alarm; else the step that makes it one. A rise is
 * told as a new alert and as an update: one of both counts.
 */
function isTold(event, { alert_type, alarm_at, updated_at, withheld, values }) {
  if (alert_type === "camera_silent" || alarm_at === null || withheld) return false;
  return event === "new_alert" || (event === "alert_updated" && alarm_at === updated_at && values.risen_from === undefined);
}

/** Broadcasts are said even to who looks at the past: they may be of life and death. News of alerts of now would be taken for those of then. */
effect(() => {
  const { event, data } = news.value ?? {};
  if (replayed.peek() !== null && event !== "admin_broadcast") return;
  if (event && isTold(event, data)) {
    const severity = data.alert_severity ?? data.severity;
    say(data.message, { title: data.title, severity, onClick: () => go("alerts", { alert: data.id }) });
    if (sound.peek() === "on") beep();
  } else if (event === "admin_broadcast") {
    say(data.message, { title: data.title ?? t("shell.broadcast"), severity: "EMERGENCY" });
    if (sound.peek() === "on") beep();
  }
});

export function Toasts() {
  return html`<div class="toasts" role="log" aria-live="polite">${toasts.value.map(({ id, title, text, severity, onClick }) => html`
    <div class="toast" key=${id} data-severity=${severity}>
      <span>${title && html`<b>${title}</b>`}${text} ${onClick && html`<button type="button" class="link" onClick=${() => { onClick(); leave(id); }}>${t("shell.room.alerts")}</button>`}</span>
      <button type="button" class="icon-button" aria-label=${t("shell.close")} onClick=${() => leave(id)}><${Icon} name="close" /></button>
    </div>`)}</div>`;
}
