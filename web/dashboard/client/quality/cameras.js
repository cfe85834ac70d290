// How late each camera's newest window is, and which cameras are silent by the rule of alerts.

import { html } from "../vendor/preact.mjs";
import { open } from "../live/alerts.js";
import { useAnswer } from "../live/answers.js";
import { camerasSource, registered } from "../live/cameras.js";
import { settings } from "../live/settings.js";
import { number } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { useSource } from "../components/use_source.js";
import { linkTo } from "../shell/route.js";
import { Age, ageText, now } from "../shell/times.js";
import { t } from "../texts/index.js";

/** A window takes its length and some seconds for late events to become final. */
const LATE_AFTER_MS = 30_000;
const SILENT_AFTER_MS = 300_000;
const STATES = ["silent", "late", "in.time"];

/** "silent" when an alert says so, or nothing came for as long as such an alert takes. */
const stateOf = ({ lateMs, alert }) => (alert || lateMs === null || lateMs > SILENT_AFTER_MS ? "silent" : lateMs > LATE_AFTER_MS ? "late" : "in.time");

export function CameraQuality() {
  useSource(camerasSource);
  const answer = useAnswer("/cameras", { every: 5000, all: true });
  const silent = new Map([...(open.value?.values() ?? [])].filter((alert) => alert.alert_type === "camera_silent").map((alert) => [alert.camera_id, alert]));
  const seen = new Map((answer.body ?? []).map((camera) => [camera.camera_id, camera]));
  const ids = new Set([...seen.keys(), ...registered.value.keys(), ...silent.keys()]);
  const rows = [...ids].map((id) => {
    const camera = seen.get(id);
    const lateMs = camera?.last_seen ? Math.max(0, now.value - Date.parse(camera.last_seen)) : null;
    const row = { id, name: registered.value.get(id)?.name ?? id, lastSeen: camera?.last_seen ?? null, lateMs, alert: silent.get(id), partitions: camera?.partitions ?? [], isRegistered: registered.value.has(id), hasPlace: Number.isFinite(registered.value.get(id)?.lat) };
    return { ...row, state: stateOf(row) };
  });
  const count = (state) => (answer.body ? number(rows.filter((row) => row.state === state).length) : "–");
  const columns = [
    { key: "id", title: t("alerts.filter.camera"), value: (row) => row.name, cell: (row) => html`<a href=${linkTo("cameras", { camera: row.id })}>${row.name}</a>` },
    { key: "state", title: t("map.state"), value: (row) => STATES.indexOf(row.state), cell: (row) => html`<span class="quality-state" data-state=${row.state}>${t(`quality.state.${row.state}`)}</span>` },
    { key: "seen", title: t("quality.last"), value: (row) => row.lateMs, number: true, cell: (row) => (row.lastSeen ? html`<${Age} iso=${row.lastSeen} />` : t("quality.never")) },
    { key: "alert", title: t("quality.alert"), value: (row) => Date.parse(row.alert?.triggered_at), cell: (row) => (row.alert ? html`<a href=${linkTo("alerts", { alert: row.alert.id })}>${ageText(Date.parse(row.alert.triggered_at))}</a>` : "–") },
    { key: "wrong", title: t("quality.besides"), value: (row) => wrongs(row).length, cell: (row) => wrongs(row).join(", ") || "–" },
  ];
  return html`<${Figures} entries=${STATES.map((state) => [t(`quality.state.${state}`), count(state)])} />
    <${Panel} title=${t("quality.part.cameras")} of=${answer.body && rows.length} answer=${answer} empty=${answer.body && !rows.length && t("administration.cameras.none")}>
      <p class="by">${t("quality.cameras.note", { window: number(settings.value?.window_seconds), late: LATE_AFTER_MS / 1000, silent: SILENT_AFTER_MS / 60_000 })}</p>
      <${Table} label=${t("quality.part.cameras")} columns=${columns} rows=${rows} keyOf=${(row) => row.id} order=${{ key: "state" }} limit=${50} /><//>`;
}

/** What else is not as it should be with a camera, in words. */
function wrongs({ isRegistered, hasPlace, partitions }) {
  return [!isRegistered && t("quality.not.registered"), isRegistered && !hasPlace && t("quality.no.place"), partitions.length > 1 && t("quality.two.partitions", { list: partitions.join(", ") })].filter(Boolean);
}
