// Numbers as people read them; what is not known is a dash.

import { language } from "../shell/preferences.js";

const LOCALES = { en: "en-GB", vi: "vi-VN", id: "id-ID" };
const formats = new Map();

export function number(value, digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const key = `${language.value} ${digits}`;
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(LOCALES[language.value], { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return formats.get(key).format(value);
}

/** A speed, with a decimal where it matters. */
export const kmh = (speed) => number(speed, speed !== null && speed !== undefined && speed < 9.95 ? 1 : 0);

export const percent = (share) => (share === null || share === undefined ? "–" : `${number(100 * share)} %`);

export function classesText(counts) {
  const seen = Object.entries(counts ?? {}).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return seen.map(([name, count]) => `${name} ${count}`).join(" · ");
}
