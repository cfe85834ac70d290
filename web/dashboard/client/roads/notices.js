// What people were told of roads, as it comes; newest first.

import { html, signal } from "../vendor/preact.mjs";
import { Connection, Shared, sockets } from "../live/connection.js";
import { replayed } from "../live/servers.js";
import { Panel } from "../components/panel.js";
import { useSource } from "../components/use_source.js";
import { Severity } from "../components/words.js";
import { say } from "../shell/toasts.js";
import { Age } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";

const KEPT = 50;
const NEW_MS = 10_000;
const NAME = "notifications";

/** Newest first. */
export const notices = signal([]);

function start() {
  const openedAt = Date.now();
  // asked for again with the last ones after a break, so that none is missed
  const connection = new Connection(NAME, () => `/ws/notifications?recent=${KEPT}`, (record) => {
    if (notices.peek().some(({ event_id }) => event_id === record.event_id)) return;
    notices.value = [record, ...notices.peek()].sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp)).slice(0, KEPT);
    if (replayed.peek() === null && !record.withheld && Date.parse(record.timestamp) > openedAt - NEW_MS) say(record.message, { title: wordOf("roads.notice", record.alert_type), severity: record.severity });
  }, { silentMs: Infinity });
  return () => connection.stop();
}

const source = new Shared(start);

/** From now on, in every room: a jam is told by its event, and not by its cameras. */
export const hearNotices = () => source.use();

export function Notices({ onChoose }) {
  useSource(source);
  const known = notices.value;
  const state = sockets.value[NAME];
  return html`<${Panel} title=${t("roads.notices")} of=${state === "live" ? known.length || "" : t(`shell.state.${state ?? "waiting"}`)} empty=${known.length === 0 && t("roads.notices.none")}>
    <ol class="plain picks scrolled">${known.map((record) => html`<li key=${record.event_id}>
      <button type="button" class="pick" onClick=${() => onChoose(record.road_id)}>
        <${Severity} severity=${record.severity} word=${wordOf("roads.notice", record.alert_type)} /><span class="dim last"><${Age} iso=${record.timestamp} /></span>
        <span class="whole">${record.message}</span>
        ${record.affected_routes_count > 0 && html`<span class="dim whole">${t("roads.notice.routes", { n: record.affected_routes_count })}</span>`}
      </button></li>`)}</ol>
  <//>`;
}
