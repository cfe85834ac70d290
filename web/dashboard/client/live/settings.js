// What this installation is like: its city, its zone, which feeds it has.

import { signal } from "../vendor/preact.mjs";
import { ask } from "./api.js";

/** The answer of `/api/dashboard/settings`, null before it. */
export const settings = signal(null);

export async function loadSettings() {
  try {
    settings.value = await ask("/api/dashboard/settings");
  } catch {
    setTimeout(loadSettings, 3000);
  }
}

export const hasFeed = (name) => settings.value?.feeds.includes(name) ?? true;
