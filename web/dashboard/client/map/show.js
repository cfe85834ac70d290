// Where the map goes when something is chosen elsewhere: in a table, by a link.

import { useMemo, useRef } from "../vendor/preact.mjs";
import { cameraCount, registered } from "../live/cameras.js";
import { roadCount, roads } from "../live/roads.js";

/** `{coordinates}` of what was chosen by a list, once it is known; the same object as long as the same is chosen. */
export function useShow(chosen) {
  const from = useRef(null);
  const key = chosen && showing === `${chosen.kind} ${chosen.id}` ? showing : null;
  return useMemo(() => {
    if (!key) return from.current;
    const coordinates = coordinatesOf(chosen);
    if (coordinates.length) {
      from.current = { coordinates };
      showing = null;
    }
    return from.current;
  }, [key, roadCount.value, cameraCount.value]);
}

let showing = null;

/** Called by lists, before they choose: the map goes there. What is pressed on the map itself is there already. */
export function showNext(kind, id) {
  showing = `${kind} ${id}`;
}

function coordinatesOf({ kind, id }) {
  if (kind === "road") return (roads.peek().get(id)?.edges ?? []).flatMap((edge) => edge.coordinates);
  if (kind === "camera") {
    const place = registered.peek().get(id);
    return Number.isFinite(place?.lat) ? [[place.lng, place.lat]] : [];
  }
  return [];
}
