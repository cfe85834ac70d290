// Things that are few and have words of their own, as buttons on the map: incidents, weather stations.

import { Marker } from "../vendor/maplibre-gl.mjs";

export class Markers {
  /** @param onPick gets the kind and id of what is pressed. */
  constructor(map, onPick) {
    Object.assign(this, { map, onPick, shown: new Map() });
  }

  /** @param things `[{kind, id, lat, lng, text, label, severity, stale}]`: all that is to be seen. */
  set(things) {
    const wanted = new Set();
    for (const thing of things) {
      if (!Number.isFinite(thing.lat) || !Number.isFinite(thing.lng)) continue;
      const key = `${thing.kind} ${thing.id}`;
      wanted.add(key);
      let known = this.shown.get(key);
      if (!known) {
        const element = document.createElement("button");
        element.type = "button";
        element.className = `pin ${thing.kind}`;
        element.addEventListener("click", (event) => {
          event.stopPropagation();
          this.onPick(thing.kind, thing.id);
        });
        known = { element, marker: new Marker({ element }).setLngLat([thing.lng, thing.lat]).addTo(this.map) };
        // the library calls every marker a map marker
        element.removeAttribute("role");
        this.shown.set(key, known);
      }
      known.marker.setLngLat([thing.lng, thing.lat]);
      if (known.element.textContent !== thing.text) known.element.textContent = thing.text;
      known.element.setAttribute("aria-label", thing.label);
      known.element.title = thing.label;
      known.element.dataset.severity = thing.severity ?? "";
      known.element.dataset.stale = String(Boolean(thing.stale));
    }
    for (const [key, { marker }] of this.shown) {
      if (wanted.has(key)) continue;
      marker.remove();
      this.shown.delete(key);
    }
  }
}
