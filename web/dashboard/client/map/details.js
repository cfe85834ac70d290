// What was pressed, in words: with its forecast, who made it, and how good the data is.

import { html } from "../vendor/preact.mjs";
import { cameras, registered } from "../live/cameras.js";
import { isStale, useVehicle } from "../live/vehicles.js";
import { kmh, number, percent } from "../components/numbers.js";
import { Facts, Panel } from "../components/panel.js";
import { Severity } from "../components/words.js";
import { EventFacts } from "../alerts/events.js";
import { CameraDetails } from "../cameras/details.js";
import { RoadDetails } from "../roads/details.js";
import { Icon } from "../shell/icons.js";
import { linkTo, setParams } from "../shell/route.js";
import { Age, Moment, now } from "../shell/times.js";
import { t, wordOf } from "../texts/index.js";

export function Details({ chosen, answers, zones, surge }) {
  const { kind, id } = chosen;
  const leave = html`<button type="button" class="icon-button" aria-label=${t("shell.close")} onClick=${() => setParams({ kind: undefined, id: undefined })}><${Icon} name="close" /></button>`;
  const shared = { tools: leave, id };
  if (kind === "road") return html`<${RoadDetails} ...${shared} />`;
  if (kind === "camera") return html`<${CameraDetails} ...${shared} camera=${cameras.value?.get(id)} place=${registered.value.get(id)} />`;
  if (kind === "vehicle") return html`<${VehicleDetails} ...${shared} />`;
  const queue = [answers.congestion, "event_id", (event) => html`<${EventFacts} event=${event} />`];
  const of = { "queue-head": queue, "queue-tail": queue, incident: [answers.incidents, "incident_id", incidentFacts], weather: [answers.weather, "station", weatherFacts], area: [answers.areas, "stream_id", areaFacts] }[kind];
  if (of) {
    const [answer, field, facts] = of;
    const told = answer.body?.find((row) => row[field] === id);
    return html`<${Panel} title=${t(kind.startsWith("queue") ? "map.congestion" : `map.${kind}`)} of=${id.length < 24 ? id : ""} tools=${leave} answer=${answer} empty=${!told && t("map.gone")}>${told && facts(told)}<//>`;
  }
  const feature = (kind === "zone" ? zones : surge).find(({ properties }) => (kind === "zone" ? properties.id : properties.name) === id);
  return html`<${Panel} title=${t(`map.${kind}`)} of=${feature?.properties.name} tools=${leave} empty=${!feature && t("map.gone")}>
    ${feature && html`<${Facts} entries=${kind === "zone" ? [[t("map.zone.cameras"), html`${feature.properties.camera_ids.length} <a href=${linkTo("cameras", { zone: feature.properties.name })}>${t("map.open.room", { room: t("shell.room.cameras") })}</a>`]] : surgeEntries(feature.properties.row)} />`}<//>`;
}

function VehicleDetails({ id, tools }) {
  const vehicle = useVehicle(id);
  if (!vehicle) return html`<${Panel} title=${t("map.vehicle")} of=${id} tools=${tools} empty=${t(vehicle === null ? "map.gone" : "shell.loading")} />`;
  const { told } = vehicle;
  const stale = isStale(vehicle, now.value);
  const at = new Date(vehicle.at).toISOString();
  return html`<${Panel} title=${t("map.vehicle")} of=${id} tools=${tools}>
    <${Facts} entries=${[
      [t("map.kind"), t(`map.kind.${vehicle.kind}`)],
      Number.isFinite(vehicle.speedKmh) && [t("map.speed"), `${kmh(vehicle.speedKmh)} km/h`],
      Number.isFinite(vehicle.direction) && [t("map.direction"), `${number(vehicle.direction)}°`],
      told && [t("map.status"), wordOf("map.status", told.status)],
      told && [t("map.passengers"), told.passenger_count === null ? "–" : `${number(told.passenger_count)}${told.occupancy_percentage === null ? "" : `, ${number(told.occupancy_percentage)} %`}`],
      told?.route_id && [t("map.route"), told.route_id],
      told?.off_route_m > 50 && [t("map.off.route"), `${number(told.off_route_m)} m`],
      told?.delayed_since && [t("map.delayed"), html`<${Moment} iso=${told.delayed_since} />`],
      [t("map.heard"), html`<span class=${stale ? "told" : ""}><${Age} iso=${at} /></span>`],
    ]} />
    ${told?.plausible === false && html`<p class="by baseline">${t("map.plausible.no")}</p>`}
  <//>`;
}

const incidentFacts = (told) => html`<${Facts} entries=${[
  [t("map.kind"), told.incident_type],
  [t("map.severity"), html`<${Severity} severity=${told.severity} word=${wordOf("alerts.grade", told.severity)} />`],
  [t("map.state"), wordOf("alerts.state", told.state)],
  told.description && [t("map.description"), told.description],
  [t("map.since"), html`<${Moment} iso=${told.timestamp} />`],
]} />`;

const weatherFacts = (told) => html`<${Facts} entries=${[
  [t("map.temperature"), told.temperature === null ? "–" : `${number(told.temperature, 1)} °C`],
  [t("map.condition"), told.weather_condition ?? "–"],
  told.humidity !== null && [t("map.humidity"), `${number(told.humidity)} %`],
  told.wind_speed !== null && [t("map.wind"), `${number(told.wind_speed)} km/h`],
  told.precipitation !== null && [t("map.rain"), `${number(told.precipitation, 1)} mm`],
  told.air_quality_index !== null && [t("map.air"), `${number(told.air_quality_index)}, ${told.air_quality_band ?? ""}`],
  [t("map.measured"), html`<${Age} iso=${told.timestamp} />`],
]} />${!told.is_current && html`<p class="by baseline">${t("map.not.current")}</p>`}`;

const areaFacts = (told) => html`<${Facts} entries=${[
  [t("map.area"), told.location],
  [t("map.in.area"), `${number(told.total_in_area)}${told.estimated_max_people ? ` ${t("map.of.at.most")} ${number(told.estimated_max_people)} (${percent(told.total_in_area / told.estimated_max_people)})` : ""}`],
  [t("map.status"), told.label],
  [t("map.measured"), html`<${Age} iso=${told.timestamp} />`],
]} />`;

const surgeEntries = (row) => [[t("map.taps"), number(row.tap_count ?? row.taps)], row.window_start && [t("map.since"), html`<${Moment} iso=${row.window_start} />`]];
