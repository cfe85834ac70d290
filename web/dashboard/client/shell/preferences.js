// What a person chose; kept in this browser, if it keeps anything.

import { effect, signal } from "../vendor/preact.mjs";

function kept(name, allowed, otherwise) {
  const key = `trafficapp-${name}`;
  let value = otherwise;
  try {
    const found = localStorage.getItem(key);
    if (allowed.includes(found)) value = found;
  } catch {
    // see above
  }
  const chosen = signal(value);
  effect(() => {
    try {
      localStorage.setItem(key, chosen.value);
    } catch {
      // see above
    }
  });
  return chosen;
}

export const LANGUAGES = { en: "English", vi: "Tiếng Việt", id: "Bahasa Indonesia" };
const asked = navigator.languages.map((name) => name.slice(0, 2)).find((name) => name in LANGUAGES) ?? "en";

export const language = kept("language", Object.keys(LANGUAGES), asked);
export const scheme = kept("scheme", ["auto", "light", "dark"], "auto");
export const sound = kept("sound", ["on", "off"], "off");
/** In whose zone times are shown first. */
export const clock = kept("clock", ["city", "viewer"], "city");

effect(() => {
  const root = document.documentElement;
  root.lang = language.value;
  if (scheme.value === "auto") delete root.dataset.scheme;
  else root.dataset.scheme = scheme.value;
});
