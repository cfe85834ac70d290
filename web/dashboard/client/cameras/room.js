// All cameras: how congested each is now, and its last minutes.

import { html, useEffect, useRef } from "../vendor/preact.mjs";
import { cameras, camerasSource, fillWindows, isSilent, pointsOf, registered, SPARK_WINDOWS } from "../live/cameras.js";
import { useAnswer } from "../live/answers.js";
import { classesText, number } from "../components/numbers.js";
import { Figures, Waiting } from "../components/panel.js";
import { Spark } from "../components/spark.js";
import { useSource } from "../components/use_source.js";
import { Level, LEVELS } from "../components/words.js";
import { linkTo, setParams } from "../shell/route.js";
import { ageText, bothTexts, now } from "../shell/times.js";
import { t } from "../texts/index.js";
import { OneCamera } from "./one.js";
import { useOrder } from "./order.js";

export default function Cameras({ params }) {
  useSource(camerasSource);
  return params.camera ? html`<${OneCamera} key=${params.camera} id=${params.camera} />` : html`<${AllCameras} params=${params} />`;
}

function AllCameras({ params }) {
  const zones = useAnswer("/api/map/zones", { every: 60_000 });
  const all = [...(cameras.value?.values() ?? [])];
  const inZone = params.zone && zones.body?.features.find(({ properties }) => properties.name === params.zone)?.properties.camera_ids;
  const nameOf = (camera) => registered.value.get(camera.id)?.name ?? camera.id;
  const wanted = (params.find ?? "").toLowerCase();
  const fits = (camera) => (!params.level || camera.row.congestion_level === params.level) && (!inZone || inZone.includes(camera.id)) && (camera.id.toLowerCase().includes(wanted) || nameOf(camera).toLowerCase().includes(wanted));
  const list = useRef(null);
  const shown = useOrder(all.filter(fits), params.order ?? "level", list);
  if (!cameras.value) return html`<div class="room-body"><h1>${t("shell.room.cameras")}</h1><${Waiting} /></div>`;
  if (!all.length) return html`<div class="room-body"><h1>${t("shell.room.cameras")}</h1><${NoCameras} /></div>`;
  const silent = all.filter((camera) => isSilent(camera, now.value));
  return html`<div class="room-body">
    <div class="room-title"><h1>${t("shell.room.cameras")}</h1><span class="dim">${t("cameras.shown", { shown: shown.length, all: all.length })}${silent.length ? `, ${t("cameras.silent", { n: silent.length })}` : ""}. ${t("cameras.final")}</span></div>
    <${Summary} live=${all.filter((camera) => !isSilent(camera, now.value))} level=${params.level} />
    <${Tools} params=${params} zones=${zones.body?.features ?? []} />
    <div class="camera-list" ref=${list}>
      <div class="camera-head" aria-hidden="true"><span>${t("cameras.camera")}</span><span>${t("cameras.level")}</span><span>${t("cameras.score")}</span><span class="number">${t("cameras.vehicles")}</span><span class="number">km/h</span><span>${t("cameras.classes")}</span><span>${t("cameras.last.windows")}</span><span class="number">${t("cameras.ended")}</span></div>
      <ol class="plain">${shown.map((camera) => html`<${Row} key=${camera.id} camera=${camera} name=${nameOf(camera)} at=${now.value} />`)}</ol>
      ${!shown.length && html`<p class="empty">${t("cameras.none.fits")}</p>`}
    </div>
  </div>`;
}

function Summary({ live, level }) {
  let [vehicles, queue, sum, weight] = [0, 0, 0, 0];
  for (const { row } of live) {
    vehicles += row.vehicle_count;
    queue += row.queue_length;
    if (row.avg_speed_kmh === null) continue;
    // as in /api/dashboard/summary: a camera weighs as many times as it saw vehicles
    sum += row.avg_speed_kmh * row.vehicle_count;
    weight += row.vehicle_count;
  }
  return html`<div class="summary">
    <div class="levels" role="group" aria-label=${t("cameras.only.level")}>${LEVELS.map((name) => html`<button type="button" class="button" aria-pressed=${level === name} onClick=${() => setParams({ level: level === name ? undefined : name })}>
      <b>${live.filter(({ row }) => row.congestion_level === name).length}</b><${Level} level=${name} /></button>`)}</div>
    <${Figures} entries=${[[t("cameras.total.vehicles"), live.length ? number(vehicles) : "–"], [t("cameras.total.speed"), weight ? number(sum / weight, 1) : "–", "km/h"], [t("cameras.total.stopped"), live.length ? number(queue) : "–"]]} />
  </div>`;
}

function Tools({ params, zones }) {
  const input = useRef(null);
  useEffect(() => {
    const find = (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
      event.preventDefault();
      input.current.focus();
    };
    addEventListener("keydown", find);
    return () => removeEventListener("keydown", find);
  }, []);
  return html`<div class="tools" role="search">
    <label class="labelled">${t("cameras.filter")}<input ref=${input} class="field" type="search" value=${params.find ?? ""} placeholder=${t("cameras.filter.name")} autocomplete="off" spellcheck=${false} aria-keyshortcuts="/" onInput=${(event) => setParams({ find: event.target.value })} /></label>
    <label class="labelled">${t("cameras.order")}<select class="field" value=${params.order ?? "level"} onChange=${(event) => setParams({ order: event.target.value === "level" ? undefined : event.target.value })}>
      ${["level", "camera", "vehicles", "speed", "age"].map((name) => html`<option value=${name} selected=${(params.order ?? "level") === name}>${t(`cameras.order.${name}`)}</option>`)}</select></label>
    ${zones.length > 0 && html`<label class="labelled">${t("cameras.zone")}<select class="field" value=${params.zone ?? ""} onChange=${(event) => setParams({ zone: event.target.value })}>
      <option value="">${t("cameras.zone.all")}</option>${zones.map(({ properties }) => html`<option value=${properties.name} selected=${params.zone === properties.name}>${properties.name}</option>`)}</select></label>`}
  </div>`;
}

const seen = new Map();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) seen.get(target)?.();
}, { rootMargin: "300px" });

function Row({ camera, name, at }) {
  const item = useRef(null);
  useEffect(() => {
    // the windows before this page was opened are asked for only of what is on the screen
    const element = item.current;
    seen.set(element, () => fillWindows(camera.id));
    watcher.observe(element);
    return () => { watcher.unobserve(element); seen.delete(element); };
  }, [camera.id]);
  const { row } = camera;
  const silent = isSilent(camera, at);
  return html`<li ref=${item} data-level=${row.congestion_level} class=${silent ? "stale" : ""}>
    <a class="camera-row" href=${linkTo("cameras", { camera: camera.id })}>
      <span class="name" title=${camera.id}>${name}</span>
      <${Level} level=${row.congestion_level} />
      <span class="score"><span class="bar"><i style=${{ width: `${(row.congestion_score ?? 0) * 100}%` }}></i></span><span>${number(row.congestion_score, 2)}</span></span>
      <span class="number vehicles"><b>${number(row.vehicle_count)}</b></span>
      <span class="number speed">${number(row.avg_speed_kmh, 1)}</span>
      <span class="classes">${classesText(row.counts_by_class)}</span>
      <${Spark} points=${pointsOf(camera)} size=${camera.end - camera.start} count=${SPARK_WINDOWS} end=${camera.end} />
      <span class="number age" title=${bothTexts(camera.end)}>${ageText(camera.end, at)}</span>
    </a></li>`;
}

function NoCameras() {
  return html`<div class="panel"><div class="inside"><h2>${t("cameras.none")}</h2><p>${t("cameras.none.how")}</p>
    <div class="empty"><pre><code>trafficapp replay --loop --shift-to-now</code></pre>${t("cameras.none.plays")}<pre><code>trafficapp mock --cameras 4 --rate 10 --with-lanes</code></pre>${t("cameras.none.random")}</div></div></div>`;
}
