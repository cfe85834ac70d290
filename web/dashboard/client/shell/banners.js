// What must be known before the figures are believed: that something is away, stale, or simulated.

import { html } from "../vendor/preact.mjs";
import { tokenAsked } from "../live/api.js";
import { sockets } from "../live/connection.js";
import { health, newestFigure } from "../live/servers.js";
import { staleSince } from "../live/alerts.js";
import { settings } from "../live/settings.js";
import { t } from "../texts/index.js";
import { timeText } from "./times.js";

function messages() {
  // the newest figure is another one each second: only who tells of it looks
  const newest = () => ({ time: timeText(newestFigure.value) });
  const told = [];
  const servers = health.value;
  const lost = Object.entries(sockets.value).filter(([, state]) => state === "lost").map(([name]) => name);
  if (servers === null) told.push(["lost", newestFigure.value ? t("shell.lost", newest()) : t("shell.lost.nothing")]);
  else if (servers) {
    if (!servers.redis) told.push(["lost", t("shell.redis.down", newest())]);
    if (!servers.kafka) told.push(["lost", t("shell.kafka.down", newest())]);
    if (!servers.postgres) told.push(["stale", t("shell.postgres.down")]);
    if (lost.length && servers.redis) told.push(["lost", t("shell.socket.lost", { what: lost.join(", ") })]);
    if (staleSince.value && servers.redis) told.push(["stale", t("shell.events.stale", { time: timeText(Date.parse(staleSince.value)) })]);
  }
  if (tokenAsked.value !== null && settings.value?.reads_need_token) told.push(["stale", t("shell.token.needed")]);
  return told;
}

export function Banners() {
  return html`<div class="banners" role="status">${messages().map(([kind, text]) => html`<p class="banner" data-kind=${kind} key=${text}>${text}</p>`)}</div>`;
}
