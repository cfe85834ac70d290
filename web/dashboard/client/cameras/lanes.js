// The lanes of a camera as a table.

import { html } from "../vendor/preact.mjs";
import { classesText, number, percent } from "../components/numbers.js";
import { Level } from "../components/words.js";
import { timeText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { useLanes } from "./live_lanes.js";

export function Lanes({ camera, brief }) {
  const { start, lanes } = useLanes(camera.id);
  if (!lanes.length) return html`<p class="empty">${t("cameras.lanes.none")}</p>`;
  const heads = ["lane", "level", "score", "vehicles", "km/h", ...(brief ? [] : ["stopped", "queue", "classes"])];
  return html`<div class="sideways" role="region" tabindex="0" aria-label=${t("cameras.lane")}><table>
    <caption>${t("cameras.lanes", { from: timeText(start), to: timeText(start + camera.end - camera.start) })}</caption>
    <thead><tr>${heads.map((key) => html`<th scope="col" class=${["lane", "level", "classes"].includes(key) ? "" : "number"}>${key === "km/h" ? key : t(`cameras.${key}`)}</th>`)}</tr></thead>
    <tbody>${lanes.map((row) => html`<tr key=${row.lane_id}>
      <th scope="row">${row.lane_id}</th><td><${Level} level=${row.congestion_level} /></td>
      <td class="number">${number(row.congestion_score, 2)}</td><td class="number">${number(row.vehicle_count)}</td><td class="number">${number(row.avg_speed_kmh, 1)}</td>
      ${!brief && html`<td class="number">${percent(row.stopped_ratio)}</td><td class="number">${number(row.queue_length)}</td><td class="dim">${classesText(row.counts_by_class)}</td>`}
    </tr>`)}</tbody>
  </table></div>`;
}
