// The time machine: any time of the stored past on the map, played at once to sixty times as fast. It is never taken for now.

import { effect, html, useEffect, useMemo, useRef, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { roadCount } from "../live/roads.js";
import { replayed } from "../live/servers.js";
import { CityMap } from "../map/city_map.js";
import { markersOf } from "../map/marked.js";
import { dayOf, beginOf, zone, iso } from "../analytics/spans.js";
import { Icon } from "../shell/icons.js";
import { go, setParams } from "../shell/route.js";
import { bothTexts, timeText, zoneText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Then } from "./then.js";
import { RATES, Replay } from "./replay.js";
import { Course } from "./course.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const LAYERS = new Set(["roads", "cameras", "cars", "transit", "incidents"]);
const BEGINS_BEFORE_MS = 10 * 60_000;
const WRITES_EVERY_MS = 3000;
const NOTHING = { body: null };

/** From when to when the slider goes: a day of the city, or the last 24 hours. */
function rangeOf(day, opened) {
  const begin = day ? beginOf(day) : NaN;
  if (!Number.isFinite(begin)) return { from: opened - DAY_MS, to: opened };
  return { from: begin, to: Math.min(opened, beginOf(dayOf(begin + 1.5 * DAY_MS))) };
}

export default function TimeMachine({ params }) {
  const [opened, setOpened] = useState(() => Date.now());
  const range = useMemo(() => rangeOf(params.day, opened), [params.day, opened, zone()]);
  const replay = useMemo(() => new Replay(), []);
  const view = useRef(null);
  useEffect(() => {
    replay.rate.value = RATES.includes(Number(params.rate)) ? Number(params.rate) : 10;
    const asked = Date.parse(params.at ?? "");
    replay.seek(Number.isFinite(asked) ? asked : Math.max(range.from, range.to - BEGINS_BEFORE_MS));
    const unwatch = effect(() => { replayed.value = replay.at.value; });
    return () => {
      unwatch();
      replay.stop();
      replayed.value = null;
    };
  }, []);
  useWriting(replay);
  useKeys(replay);
  // the roads of the graph may come after the first stretch
  useEffect(() => { if (replay.at.peek() !== null && roadCount.value) replay.source.roads.value = replay.roadsNow(); }, [roadCount.value]);
  const at = replay.at.value;
  const incidents = replay.incidents.value;
  const markers = useMemo(() => markersOf(LAYERS, { incidents: { body: incidents.map((told) => ({ ...told, incident_type: told.kind })) }, weather: NOTHING, areas: NOTHING }), [incidents.map(({ incident_id: id }) => id).join()]);
  const chooseDay = (event) => {
    const day = event.target.value;
    setOpened(Date.now());
    setParams({ day: day || undefined });
    const next = rangeOf(day, Date.now());
    replay.seek(day ? Math.min(next.to, next.from + 8 * HOUR_MS) : next.to - BEGINS_BEFORE_MS);
  };
  return html`<div class="time-machine">
    <h1 class="unseen">${t("shell.room.history")}</h1>
    <p class="past" role="note"><b>${t("history.not.live")}</b> <time datetime=${at ? iso(at) : ""} title=${at ? bothTexts(at) : ""}>${at ? new Intl.DateTimeFormat(undefined, { timeZone: zone(), weekday: "short" }).format(at) : ""} ${dayText(at)} ${timeText(at, { zone: zone() }).split(", ").at(-1)} ${zoneText(zone(), at ?? undefined)}</time>
      ${replay.isSimulated.value && html`<span class="badge simulated">${t("shell.simulated")}</span>`}
      <span class="spread"></span><button type="button" class="button primary" aria-keyshortcuts="Escape L" onClick=${() => go("map")}>${t("history.back")}</button></p>
    <${CityMap} label=${t("history.map")} source=${replay.source} layers=${LAYERS} markers=${markers} view=${view.current} onView=${(where) => { view.current = where; }} onPick=${() => {}} />
    <aside class="side" aria-label=${t("history.then")}><${Then} replay=${replay} /></aside>
    <div class="player">
      <${Controls} replay=${replay} />
      <${Course} range=${range} at=${at} />
      <input class="slider" type="range" min=${range.from} max=${range.to} step="1000" value=${at ?? range.from} aria-label=${t("history.slider")} aria-valuetext=${at ? `${dayText(at)} ${timeText(at, { zone: zone() })}` : ""}
        onChange=${(event) => replay.seek(Number(event.target.value))} />
      <p class="ends dim"><span>${timeText(range.from, { seconds: false, zone: zone() })}</span><span>${timeText(range.to, { seconds: false, zone: zone() })} ${zoneText(zone(), range.to)}</span></p>
      <div class="tools"><label class="labelled">${t("history.day")}<input class="field" type="date" value=${params.day ?? ""} max=${dayOf(opened)} onChange=${chooseDay} /></label>
        ${params.day && html`<button type="button" class="button" onClick=${() => chooseDay({ target: { value: "" } })}>${t("history.last.day")}</button>`}
        <label class="labelled">${t("history.rate")}<select class="field" value=${replay.rate.value} onChange=${(event) => { replay.rate.value = Number(event.target.value); setParams({ rate: event.target.value === "10" ? undefined : event.target.value }); }}>${RATES.map((rate) => html`<option value=${rate} selected=${rate === replay.rate.value}>${rate}×</option>`)}</select></label>
        <${Told} replay=${replay} /></div>
    </div>
  </div>`;
}

const dayText = (at) => (at === null ? "" : new Intl.DateTimeFormat(undefined, { timeZone: zone(), day: "numeric", month: "short", year: "numeric" }).format(at));

/** The address follows the replay, though not at every step. */
function useWriting(replay) {
  useEffect(() => {
    const timer = setInterval(() => {
      const at = replay.at.peek();
      if (at !== null) setParams({ at: iso(Math.round(at / 1000) * 1000).replace(".000", "") });
    }, WRITES_EVERY_MS);
    return () => clearInterval(timer);
  }, [replay]);
}

function useKeys(replay) {
  useEffect(() => {
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const typing = event.target.matches("select, textarea, input:not([type=range])");
      if (event.key === "Escape" || (!typing && event.key.toLowerCase() === "l")) go("map");
      else if (!typing && event.key === " " && !event.target.matches("button, summary")) replay.playing.value = !replay.playing.peek();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [replay]);
}

function Controls({ replay }) {
  const playing = replay.playing.value;
  const step = (seconds) => () => replay.seek(replay.at.peek() + seconds * 1000);
  return html`<div class="tools controls" role="group" aria-label=${t("history.controls")}>
    <button type="button" class="button" onClick=${step(-300)}>−5 min</button>
    <button type="button" class="button primary play" aria-keyshortcuts="Space" onClick=${() => { replay.playing.value = !playing; }}><${Icon} name=${playing ? "pause" : "play"} /> ${t(playing ? "history.pause" : "history.play")}</button>
    <button type="button" class="button" onClick=${step(300)}>+5 min</button></div>`;
}

function Told({ replay }) {
  const { problem, waiting, ended, cut } = replay;
  const text = problem.value ? t("history.problem", { why: problem.value }) : ended.value ? t("history.reached.now") : waiting.value ? t("history.fetching") : cut.value.length ? t("history.cut", { parts: cut.value.join(", ") }) : "";
  return html`<span role="status" class=${problem.value ? "told" : "dim"}>${text}</span>`;
}
