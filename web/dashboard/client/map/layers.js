// Which layers there are, and the switches of the map.

import { html } from "../vendor/preact.mjs";
import { Icon } from "../shell/icons.js";
import { hasFeed } from "../live/settings.js";
import { setParams } from "../shell/route.js";
import { t } from "../texts/index.js";

/** Name, colour of its sign, shape of its sign, the feed without which there is nothing of it. */
const LAYERS = [
  ["roads", "--flow-free", ""],
  ["cameras", "--moderate-fill", "round"],
  ["heat", "--high-fill", "round"],
  ["cars", "--car", "round", "vehicle-positions"],
  ["transit", "--bus", "", "live-vehicles"],
  ["congestion", "--severe-fill", "ring", "congestion-events"],
  ["incidents", "--high-fill", "", "incidents"],
  ["weather", "--weather", "round", "weather"],
  ["areas", "--unknown-fill", "round", "areas"],
  ["zones", "--zone", "ring"],
  ["surge", "--surge", "ring", "rider-windows"],
];
const USUAL = ["roads", "cameras", "cars", "transit", "congestion", "incidents", "zones", "surge"];

/** From the text of the address; the usual ones without it. */
export function layersOf(text) {
  return new Set(text === undefined ? USUAL : text.split("."));
}

export function Layers({ layers }) {
  const turn = (name, on) => {
    const next = LAYERS.map(([other]) => other).filter((other) => (other === name ? on : layers.has(other)));
    setParams({ layers: next.join() === USUAL.join() ? undefined : next.join(".") || "none" });
  };
  return html`<details class="layers">
    <summary aria-label=${t("map.layers")}><${Icon} name="layers" /><span>${t("map.layers")}</span></summary>
    <fieldset><legend>${t("map.layers")}</legend>
      ${LAYERS.filter(([, , , feed]) => !feed || hasFeed(feed)).map(([name, colour, shape]) => html`<label>
        <input type="checkbox" checked=${layers.has(name)} onChange=${(event) => turn(name, event.target.checked)} />
        <i class=${shape} style=${{ "--key": `var(${colour})` }}></i>${t(`map.layer.${name}`)}</label>`)}
    </fieldset>
  </details>`;
}
