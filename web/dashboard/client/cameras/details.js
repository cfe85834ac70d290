// One camera in words, beside the map.

import { html, useEffect } from "../vendor/preact.mjs";
import { fillWindows, isSilent, pointsOf, SPARK_WINDOWS } from "../live/cameras.js";
import { classesText, number, percent } from "../components/numbers.js";
import { Facts, Panel } from "../components/panel.js";
import { Spark } from "../components/spark.js";
import { Level } from "../components/words.js";
import { ageText, now } from "../shell/times.js";
import { linkTo } from "../shell/route.js";
import { t } from "../texts/index.js";
import { CameraForecast } from "./forecast.js";
import { Lanes } from "./lanes.js";

export function CameraDetails({ id, tools, camera, place }) {
  useEffect(() => fillWindows(id), [id, Boolean(camera)]);
  const title = place?.name ?? id;
  if (!camera) return html`<${Panel} title=${title} tools=${tools} empty=${t("cameras.unknown", { id })} />`;
  const { row } = camera;
  const silent = isSilent(camera, now.value);
  return html`<${Panel} title=${title} of=${title === id ? "" : id} tools=${tools}>
    <${Facts} entries=${[
      [t("cameras.level"), html`<${Level} level=${row.congestion_level} /> <span class="dim">${number(row.congestion_score, 2)}</span>`],
      [t("cameras.vehicles"), html`<b>${number(row.vehicle_count)}</b> <span class="dim">${classesText(row.counts_by_class)}</span>`],
      [t("cameras.total.speed"), row.avg_speed_kmh === null ? t("shell.not.known") : `${number(row.avg_speed_kmh, 1)} km/h`],
      [t("cameras.stopped"), `${percent(row.stopped_ratio)}, ${t("cameras.queue").toLowerCase()} ${number(row.queue_length)}`],
      place?.road_segment && [t("cameras.segment"), place.road_segment],
      [t("cameras.ended"), html`<span class=${silent ? "stale-text" : ""}>${silent ? `${t("cameras.silent.since")}: ` : ""}${ageText(camera.end)}</span>`],
    ]} />
    <p class="by">${t("cameras.last.windows")}</p>
    <${Spark} points=${pointsOf(camera)} size=${camera.end - camera.start} count=${SPARK_WINDOWS} end=${camera.end} />
    <${Lanes} camera=${camera} brief=${true} />
    <${CameraForecast} id=${id} height=${120} />
    <p><a href=${linkTo("cameras", { camera: id })}>${t("cameras.open")}</a></p>
  <//>`;
}
