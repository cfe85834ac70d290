// Where in the dashboard a person is. The address carries it all, `#/map?at=44.49,11.34,13&layers=roads`: a link shows the same.

import { signal } from "../vendor/preact.mjs";

const PAGES = { "/roads": "roads" };

function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const room = decodeURIComponent(path) || PAGES[location.pathname] || "map";
  return { room, params: Object.fromEntries(new URLSearchParams(query)) };
}

/** `{room, params}`; params are texts by name. */
export const route = signal(read());
addEventListener("hashchange", () => { route.value = read(); });

export function linkTo(room, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  // commas are no harm in an address, and people read it
  const query = new URLSearchParams(given).toString().replaceAll("%2C", ",");
  return `#/${room}${query ? `?${query}` : ""}`;
}

export function go(room, params) {
  location.hash = linkTo(room, params);
}

/** Changes some parameters of this room, without a step in the browser's history; undefined takes one away. */
export function setParams(changes) {
  const { room, params } = route.value;
  const next = { ...params, ...changes };
  for (const [name, value] of Object.entries(next)) if (value === undefined || value === "") delete next[name];
  if (JSON.stringify(next) === JSON.stringify(params)) return;
  history.replaceState(null, "", linkTo(room, next));
  route.value = { room, params: next };
}
