// Starts the dashboard: what has to be known first, then the shell with the room that the address names.

import { html, render } from "../vendor/preact.mjs";
import { loadSettings } from "../live/settings.js";
import { watchServers } from "../live/servers.js";
import { startAlerts } from "../live/alerts.js";
import { hearNotices } from "../roads/notices.js";
import { loadRoom, roomOf } from "./rooms.js";
import { route } from "./route.js";
import { Shell } from "./shell.js";

const SHELL_AFTER_MS = 300;

watchServers();
startAlerts();
loadSettings();
const opened = loadRoom(roomOf(route.peek().room)).catch(() => null);
// the outline that the page came with is seen until there is more to see than the shell, if that does not take long
const painted = new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
Promise.race([Promise.all([opened, painted]), new Promise((resolve) => { setTimeout(resolve, SHELL_AFTER_MS); })]).then(() => {
  const place = document.getElementById("app");
  place.replaceChildren();
  render(html`<${Shell} />`, place);
  hearNotices();
});
