// Places that people name: a road, a camera, or latitude and longitude.

import { cameras, registered } from "../live/cameras.js";
import { roads } from "../live/roads.js";

const PLACE = /^\s*(-?\d{1,2}(?:\.\d+)?)\s*[,;\s]\s*(-?\d{1,3}(?:\.\d+)?)\s*$/;

/** `{lat, lng}` of a text, null when it names nothing known. */
export function placeOf(text) {
  const found = PLACE.exec(text);
  if (found) {
    const place = { lat: Number(found[1]), lng: Number(found[2]) };
    return Math.abs(place.lat) <= 90 && Math.abs(place.lng) <= 180 ? place : null;
  }
  const wanted = text.trim().toLowerCase();
  if (!wanted) return null;
  for (const [id, { name, lat, lng }] of registered.peek()) if (Number.isFinite(lat) && [id.toLowerCase(), name?.toLowerCase()].includes(wanted)) return { lat, lng };
  for (const road of roads.peek().values()) {
    if (![road.id.toLowerCase(), road.name.toLowerCase()].includes(wanted)) continue;
    const longest = road.edges.reduce((best, edge) => (edge.length_m > best.length_m ? edge : best));
    const [lng, lat] = longest.coordinates[Math.floor(longest.coordinates.length / 2)];
    return { lat, lng };
  }
  return null;
}

/** Names that a search offers. */
export function placeNames() {
  const names = [...roads.value.values()].map(({ name }) => name);
  for (const id of cameras.value?.keys() ?? []) names.push(registered.value.get(id)?.name ?? id);
  return [...new Set(names)];
}

export const textOf = (place) => (place ? `${place.lat.toFixed(6)},${place.lng.toFixed(6)}` : undefined);
