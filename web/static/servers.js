// The state of the servers, in every page's head.

import { $, element } from "./elements.js";

const NAMES = ["kafka", "postgres", "redis"];

/** Asks every five seconds; `onHealth` gets which servers answer, `{kafka: true, …}`, null when ours does not. */
export async function watchServers(onHealth) {
  let health = null;
  try {
    const answer = await fetch("/health", { signal: AbortSignal.timeout(4000) });
    const told = await answer.json();
    health = Object.fromEntries(NAMES.map((name) => [name, told[name] === "ok"]));
  } catch {
    // what is not known is not shown
  }
  $("servers").replaceChildren(...(health ? NAMES.map((name) => {
    const up = health[name];
    const item = element("li", "", up ? name : `${name} down`);
    item.dataset.up = String(up);
    return item;
  }) : []));
  onHealth(health);
  setTimeout(watchServers, 5000, onHealth);
}
