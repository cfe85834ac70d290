// Spans of time to look at: the last hours up to a whole minute, or days of the city's clock.

import { settings } from "../live/settings.js";

/** How what reads long spans is asked: seldom, with patience, one after the other. */
export const SLOW = { every: 300_000, timeoutMs: 60_000, costly: true };

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const zone = () => settings.value?.time_zone ?? "UTC";

/** The begin of a day "2026-11-30" by the city's clock, ms; NaN for what is no day. */
export function beginOf(day) {
  const utc = Date.parse(`${day}T00:00:00Z`);
  if (!Number.isFinite(utc)) return NaN;
  // the offset at the guess may be another than at the begin: once more with it
  const first = utc - offsetMs(utc);
  return utc - offsetMs(first);
}

/** How far the city's clock is ahead of UTC at a moment. */
function offsetMs(at) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-CA", { timeZone: zone(), hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" }).formatToParts(at).map(({ type, value }) => [type, value]));
  return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second) - Math.floor(at / 1000) * 1000;
}

/** "2026-11-30" by the city's clock. */
export const dayOf = (at) => new Intl.DateTimeFormat("en-CA", { timeZone: zone(), year: "numeric", month: "2-digit", day: "2-digit" }).format(at);

/** The span between two days, both of them in it. */
export const daysSpan = (from, to) => ({ from: beginOf(from), to: beginOf(dayOf(beginOf(to) + 1.5 * DAY_MS)) });

/** The span that the address names: `hours` back from now, or `from` and `to` as days. */
export function spanOf({ hours, from, to }, at) {
  if (from && to) {
    const span = daysSpan(from, to);
    if (span.from < span.to) return span;
  }
  return { from: at - (Number(hours) || 168) * HOUR_MS, to: at };
}

/** Pairs that people compare, as spans of the city's clock. */
export function pairOf(name, at) {
  const today = beginOf(dayOf(at));
  const back = (days) => beginOf(dayOf(today - days * DAY_MS + DAY_MS / 2));
  if (name === "week") return { a: { from: at - 14 * DAY_MS, to: at - 7 * DAY_MS }, b: { from: at - 7 * DAY_MS, to: at } };
  if (name === "hour") return { a: { from: at - 2 * HOUR_MS, to: at - HOUR_MS }, b: { from: at - HOUR_MS, to: at } };
  // as much of yesterday as has passed of today
  return { a: { from: back(1), to: back(1) + (at - today) }, b: { from: today, to: at } };
}

export const iso = (at) => new Date(at).toISOString();
