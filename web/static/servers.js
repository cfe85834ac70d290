// The state of the servers, in every page's head.

import { $, element } from "./elements.js";

const NAMES = ["kafka", "postgres", "redis"];

/** Asks every five seconds; `onHealth` gets what the server said, null when it did not answer. */
export async function watchServers(onHealth) {
  let health = null;
  try {
    const answer = await fetch("/health", { signal: AbortSignal.timeout(4000) });
    health = await answer.json();
  } catch {
    // what is not known is not shown
  }
  $("servers").replaceChildren(...(health ? NAMES.map((name) => {
    const up = Boolean(health[name]);
    const item = element("li", "", up ? name : `${name} down`);
    item.dataset.up = String(up);
    return item;
  }) : []));
  onHealth(health);
  setTimeout(watchServers, 5000, onHealth);
}
