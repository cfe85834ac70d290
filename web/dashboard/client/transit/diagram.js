// A line straightened: its stops as ticks, its vehicles where they are along it. The table below it has the same.

import { html } from "../vendor/preact.mjs";
import { t } from "../texts/index.js";

/** Nearer than this, signs would cover each other: they are set on two levels. */
const NEAR = 0.045;

function levelsOf(vehicles) {
  let before = -1;
  let level = 0;
  return vehicles.map(({ share }) => {
    level = share - before < NEAR ? 1 - level : 0;
    before = share;
    return level;
  });
}

/**
 * @param props.vehicles `{id, share 0..1, kind: "rail" | "bus", state, spacing, label}` in order of their share.
 * @param props.stops `{id, name, share}`.
 */
export function Diagram({ title, vehicles, stops = [], isClosed, from, to, chosen, onStop }) {
  const levels = levelsOf(vehicles);
  const left = (share) => ({ left: `${(100 * share).toFixed(2)}%` });
  return html`<div class="line-diagram" role="group" aria-label=${title}>
    <div class="track" data-closed=${isClosed}>
      ${stops.map((stop) => html`<button type="button" class="stop" key=${stop.id} style=${left(stop.share)} title=${stop.name} aria-label=${t("transit.stop.of", { name: stop.name })} aria-pressed=${chosen === stop.id} onClick=${() => onStop(stop.id)}></button>`)}
      ${vehicles.map(({ id, share, kind, state, spacing, label }, at) => html`<span class="vehicle" key=${id} style=${left(share)} data-level=${levels[at]} data-kind=${kind} data-state=${state} data-spacing=${spacing ?? ""} title=${label} role="img" aria-label=${label}><i>${state === "broken" ? "✕" : state === "late" ? "◷" : spacing === "bunched" ? "‼" : spacing === "gap" ? "↔" : "▸"}</i></span>`)}
    </div>
    <p class="ends dim"><span>${from}</span><span>${isClosed ? t("transit.loop") : "→"}</span><span>${to}</span></p>
  </div>`;
}
