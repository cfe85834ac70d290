// Times, never ambiguous: in the city's zone or the viewer's, and the other one beside where they differ.

import { html, signal, useMemo } from "../vendor/preact.mjs";
import { settings } from "../live/settings.js";
import { t } from "../texts/index.js";
import { clock, language } from "./preferences.js";

const VIEWER = Intl.DateTimeFormat().resolvedOptions().timeZone;
const LOCALES = { en: "en-GB", vi: "vi-VN", id: "id-ID" };
/** What the background needs to put its news together. */
const AFTER_MS = 10;
const formats = new Map();
const zones = new Map();

/** Ticks each second; what shows ages reads it. */
export const now = signal(Date.now());
function tick() {
  now.value = Date.now();
  // with the second, when the background tells its news as well: all of it is one frame
  const left = 1000 - (now.peek() % 1000) + AFTER_MS;
  setTimeout(tick, left < 100 + AFTER_MS ? left + 1000 : left);
}
tick();

const cityZone = () => settings.value?.time_zone ?? VIEWER;
export const zonesDiffer = (at = Date.now()) => offsetOf(cityZone(), at) !== offsetOf(VIEWER, at);
export const locale = () => LOCALES[language.value];

function format(zone, options) {
  const key = `${language.value} ${zone} ${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (!found) formats.set(key, (found = new Intl.DateTimeFormat(LOCALES[language.value], { timeZone: zone, hourCycle: "h23", ...options })));
  return found;
}

// no zone changes its offset within a quarter of an hour
const quarterOf = (at) => Math.floor(at / 900_000);
const partOf = (made, at) => made.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value;

function kept(key, make) {
  let found = zones.get(key);
  if (found === undefined) {
    if (zones.size > 100) zones.clear();
    zones.set(key, (found = make()));
  }
  return found;
}

const offsetOf = (zone, at) => kept(`${zone} ${quarterOf(at)}`, () => partOf(new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" }), at));

const shownZone = () => (clock.value === "city" ? cityZone() : VIEWER);
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const MINUTE = { hour: "2-digit", minute: "2-digit" };
const DAY = { day: "numeric", month: "short" };
const near = (at) => Math.abs(Date.now() - at) < 43_200_000;

/** "08:15:05", with the day when it is not of today, in the zone that the viewer chose. */
export function timeText(at, { seconds = true, zone = shownZone() } = {}) {
  if (at === null || !Number.isFinite(at)) return "–";
  const options = seconds ? TIME : MINUTE;
  return format(zone, near(at) ? options : { ...DAY, ...options }).format(at);
}

/** The name of a zone at a time, such as "GMT+1". */
export function zoneText(zone = shownZone(), at = Date.now()) {
  return kept(`${language.value} ${zone} ${quarterOf(at)}`, () => partOf(format(zone, { timeZoneName: "short" }), at) ?? zone);
}

/** Both zones in words, for titles. */
export function bothTexts(at, seconds = true) {
  const long = { weekday: "short", year: "numeric", ...DAY, ...(seconds ? TIME : MINUTE) };
  const inZone = (zone) => ({ time: format(zone, long).format(at), zone: `${zone}, ${zoneText(zone, at)}` });
  const city = t("shell.time.city", inZone(cityZone()));
  return zonesDiffer(at) ? `${city}\n${t("shell.time.viewer", inZone(VIEWER))}` : city;
}

export function ageText(at, from = now.value) {
  if (at === null || !Number.isFinite(at)) return t("shell.not.known");
  const seconds = Math.max(0, from - at) / 1000;
  if (seconds < 100) return t("shell.seconds.ago", { n: Math.round(seconds) });
  return seconds < 5400 ? t("shell.minutes.ago", { n: Math.round(seconds / 60) }) : timeText(at, { seconds: false });
}

/** A moment as a time of the day; `iso` as servers tell it. */
export function Moment({ iso, seconds = true }) {
  const at = Date.parse(iso);
  if (!Number.isFinite(at)) return "–";
  return html`<time datetime=${iso} title=${bothTexts(at)}>${timeText(at, { seconds })}</time>`;
}

/** How long ago a moment was. */
export function Age({ iso }) {
  const at = Date.parse(iso);
  // ages change each second, what they are reckoned from does not
  const title = useMemo(() => (Number.isFinite(at) ? bothTexts(at) : ""), [at, language.value, settings.value]);
  if (!Number.isFinite(at)) return "–";
  return html`<time datetime=${iso} title=${title}>${ageText(at)}</time>`;
}

export function Clocks() {
  const city = timeText(now.value, { zone: cityZone() });
  const name = (settings.value?.city ?? "").replaceAll(/[_-]/g, " ");
  const viewer = zonesDiffer(now.value) && html`<span class="viewer dim">${t("shell.here", { time: timeText(now.value, { zone: VIEWER }) })} ${zoneText(VIEWER)}</span>`;
  const title = useMemo(() => bothTexts(now.peek(), false), [Math.floor(now.value / 60_000), language.value, settings.value]);
  return html`<div class="clocks" title=${title}>
    <b>${city} <small class="dim">${zoneText(cityZone())}</small> <small class="dim place">${name}</small></b>${viewer}
  </div>`;
}
