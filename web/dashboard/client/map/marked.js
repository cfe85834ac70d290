// What is shown as a sign with a word in it.

import { goingOn, queueOf } from "../alerts/events.js";
import { t, wordOf } from "../texts/index.js";
import { number } from "../components/numbers.js";

const SIGNS = { accident: "✕", breakdown: "!", road_closure: "⊘", closure: "⊘", heavy_traffic: "≡", roadworks: "⚒", fire: "▲", medical: "+" };

export function markersOf(layers, { incidents, congestion, weather, areas }) {
  const found = [];
  if (layers.has("incidents")) {
    for (const told of incidents.body ?? []) {
      const label = `${t("map.incident")}: ${told.incident_type}, ${wordOf("alerts.grade", told.severity)}. ${told.description ?? ""}`;
      found.push({ kind: "incident", id: told.incident_id, lat: told.latitude, lng: told.longitude, text: SIGNS[told.kind] ?? "!", label, severity: told.severity });
    }
  }
  if (layers.has("congestion")) {
    for (const event of goingOn(congestion.body)) {
      for (const [end, text] of [["tail", "◁"], ["head", "◀"]]) {
        const { latitude, longitude, road_name, road_id } = event[end];
        const label = `${t("map.congestion")}: ${t(`map.congestion.${end}`)}, ${road_name || road_id}. ${queueOf(event)}`;
        found.push({ kind: `queue-${end}`, id: event.event_id, lat: latitude, lng: longitude, text, label, severity: event.severity });
      }
    }
  }
  if (layers.has("weather")) {
    for (const told of weather.body ?? []) {
      const text = told.temperature === null ? "?" : `${number(told.temperature)}°`;
      found.push({ kind: "weather", id: told.station, lat: told.latitude, lng: told.longitude, text, label: `${t("map.weather")} ${told.station}: ${text}, ${told.weather_condition ?? ""}`, stale: !told.is_current });
    }
  }
  if (layers.has("areas")) {
    for (const told of areas.body ?? []) {
      found.push({ kind: "area", id: told.stream_id, lat: told.latitude, lng: told.longitude, text: number(told.total_in_area), label: `${t("map.area")} ${told.location}: ${told.total_in_area}` });
    }
  }
  return found;
}
