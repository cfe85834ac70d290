// All words of the dashboard. A text is `key: [English, Vietnamese, Indonesian]` in the file of its subject; `{name}` in it is filled in.
// What comes from stores and servers is shown as it is told.

import { language, LANGUAGES } from "../shell/preferences.js";
import administration from "./administration.js";
import alerts from "./alerts.js";
import analytics from "./analytics.js";
import cameras from "./cameras.js";
import history from "./history.js";
import incidents from "./incidents.js";
import map from "./map.js";
import quality from "./quality.js";
import roads from "./roads.js";
import routes from "./routes.js";
import shell from "./shell.js";
import system from "./system.js";
import transit from "./transit.js";

const SUBJECTS = { administration, alerts, analytics, cameras, history, incidents, map, quality, roads, routes, shell, system, transit };
const POSITION = Object.fromEntries(Object.keys(LANGUAGES).map((name, at) => [name, at]));

/** A text by `subject.key`; the key itself where there is none, which a test does not let happen. */
export function t(key, values = {}) {
  const dot = key.indexOf(".");
  const forms = SUBJECTS[key.slice(0, dot)]?.[key.slice(dot + 1)];
  if (!forms) return key;
  return forms[POSITION[language.value]].replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

/** The text of a word that a server uses, such as a type of alert; the word itself where it is not known. */
export function wordOf(key, word) {
  const found = t(`${key}.${word}`);
  return found === `${key}.${word}` ? String(word ?? "").replaceAll("_", " ") : found;
}
