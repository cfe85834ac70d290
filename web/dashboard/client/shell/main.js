// Starts the dashboard: what has to be known first, then the shell with the room that the address names.

import { html, render } from "../vendor/preact.mjs";
import { loadSettings } from "../live/settings.js";
import { watchServers } from "../live/servers.js";
import { startAlerts } from "../live/alerts.js";
import { Shell } from "./shell.js";

watchServers();
startAlerts();
loadSettings();
render(html`<${Shell} />`, document.getElementById("app"));
