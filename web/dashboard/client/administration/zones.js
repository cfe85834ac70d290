// Zones: drawn on the map corner by corner, or typed; the table of corners has the same.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Refused, Sure, useAct } from "../components/act.js";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { CityMap } from "../map/city_map.js";
import { linkTo, setParams } from "../shell/route.js";
import { t } from "../texts/index.js";

const LAYERS = new Set(["roads", "cameras", "zones"]);
const NEW = "new";
const EMPTY = { name: "", description: "", corners: [] };

/** Corners of a stored ring, which ends where it begins. */
const cornersOf = (zone) => zone.coordinates.slice(0, -1).map(({ lat, lon }) => ({ lat, lon }));

export function Zones({ params }) {
  const answer = useAnswer("/api/admin/zones", { every: 30_000, all: true });
  const [draft, setDraft] = useState(null);
  const zones = answer.body ?? [];
  const chosen = params.zone;
  const stored = zones.find((zone) => String(zone.id) === chosen);
  const edited = draft?.of === chosen ? draft : chosen === NEW ? { of: NEW, ...EMPTY } : stored && { of: chosen, name: stored.name, description: stored.description ?? "", corners: cornersOf(stored) };
  const change = (changes) => setDraft({ ...edited, ...changes });
  const choose = (id) => { setDraft(null); setParams({ zone: id }); };
  const add = ({ lat, lng }) => { if (edited && Number.isFinite(lat)) change({ corners: [...edited.corners, { lat: Number(lat.toFixed(6)), lon: Number(lng.toFixed(6)) }] }); };
  const drawn = useMemo(() => featuresOf(zones, edited), [answer.body, draft, chosen]);
  const corners = useMemo(() => (edited?.corners ?? []).map(({ lat, lon }, at) => ({ kind: "corner", id: String(at), lat, lng: lon, text: String(at + 1), label: t("administration.corner.remove", { n: at + 1 }) })), [answer.body, draft, chosen]);
  const pick = (found) => {
    if (found.kind === "corner") change({ corners: edited.corners.filter((_, at) => String(at) !== found.id) });
    else if (edited) add(found);
    else if (found.kind === "zone") choose(found.id);
  };
  const show = useMemo(() => (stored ? { coordinates: stored.coordinates.map(({ lat, lon }) => [lon, lat]) } : null), [stored?.id]);
  return html`<div class="two">
    <div class="stack">
      <section class="panel map-panel" aria-label=${t("map.map")}><${CityMap} label=${t("administration.zones.map")} layers=${LAYERS} zones=${drawn} markers=${corners} onPick=${pick} cursor=${edited ? "crosshair" : ""} show=${show} /></section>
      <${Panel} title=${t("administration.part.zones")} of=${zones.length || ""} answer=${answer} empty=${answer.body && !zones.length && t("administration.zones.none")}
        tools=${html`<button type="button" class="button" onClick=${() => choose(NEW)}>${t("administration.zones.new")}</button>`}>
        <${ZoneTable} zones=${zones} chosen=${chosen} onChoose=${choose} /><//>
    </div>
    <div class=${`stack ${edited ? "first" : ""}`}>${edited ? html`<${ZoneForm} key=${chosen} edited=${edited} stored=${stored} onChange=${change} onDone=${(id) => { choose(id); answer.again(); }} />`
      : html`<${Panel} title=${t("administration.zone")} empty=${t("administration.zones.choose")} />`}</div>
  </div>`;
}

function featuresOf(zones, edited) {
  const feature = (id, name, ring) => ({ type: "Feature", geometry: { type: "Polygon", coordinates: [ring] }, properties: { id, name } });
  const found = zones.filter((zone) => String(zone.id) !== edited?.of).map((zone) => feature(String(zone.id), zone.name, zone.coordinates.map(({ lat, lon }) => [lon, lat])));
  const ring = (edited?.corners ?? []).map(({ lat, lon }) => [lon, lat]);
  if (ring.length > 1) found.push(feature("edited", edited.name, [...ring, ring[0]]));
  return found;
}

function ZoneTable({ zones, chosen, onChoose }) {
  const columns = [
    { key: "name", title: t("administration.name"), value: (zone) => zone.name, cell: (zone) => html`<button type="button" class="link" onClick=${() => onChoose(String(zone.id))}>${zone.name}</button>` },
    { key: "cameras", title: t("shell.room.cameras"), number: true, value: (zone) => zone.cameras, cell: (zone) => html`<a href=${linkTo("cameras", { zone: zone.name })}>${number(zone.cameras)}</a>` },
    { key: "corners", title: t("administration.corners"), number: true, value: (zone) => zone.coordinates.length - 1, cell: (zone) => number(zone.coordinates.length - 1) },
    { key: "text", title: t("map.description"), value: (zone) => zone.description ?? "", cell: (zone) => zone.description ?? "" },
  ];
  return html`<${Table} label=${t("administration.part.zones")} columns=${columns} rows=${zones} keyOf=${(zone) => String(zone.id)} chosen=${chosen} order=${{ key: "name" }} />`;
}

function ZoneForm({ edited, stored, onChange, onDone }) {
  const { act, busy, problem } = useAct();
  const save = async (event) => {
    event.preventDefault();
    const body = { name: edited.name.trim(), description: edited.description || null, coordinates: edited.corners };
    const path = stored ? `/api/admin/zones/${stored.id}` : "/api/admin/zones";
    const zone = await act(path, { method: stored ? "PUT" : "POST", body }, t("administration.saved"));
    if (zone) onDone(String(zone.id));
  };
  const remove = async () => { if (await act(`/api/admin/zones/${stored.id}`, { method: "DELETE" }, t("administration.deleted"))) onDone(undefined); };
  const move = (at, name, text) => { if (text !== "") onChange({ corners: edited.corners.map((corner, other) => (other === at ? { ...corner, [name]: Number(text) } : corner)) }); };
  const enough = edited.corners.length >= 3;
  return html`<${Panel} title=${stored ? stored.name : t("administration.zones.new")}><form class="fields bare" onSubmit=${save}>
    <label class="labelled">${t("administration.name")}<input class="field" required maxlength="256" value=${edited.name} onInput=${(event) => onChange({ name: event.target.value })} /></label>
    <label class="labelled">${t("map.description")}<input class="field" maxlength="4096" value=${edited.description} onInput=${(event) => onChange({ description: event.target.value })} /></label>
    <p class="dim" role="status">${t("administration.zones.draw")} ${!enough && t("administration.zones.three")}</p>
    ${edited.corners.length > 0 && html`<table><thead><tr><th scope="col">${t("administration.corner")}</th><th scope="col">${t("map.latitude")}</th><th scope="col">${t("map.longitude")}</th><th></th></tr></thead>
      <tbody>${edited.corners.map((corner, at) => html`<tr key=${at}><th scope="row">${at + 1}</th>
        ${["lat", "lon"].map((name) => html`<td><input class="field coordinate" type="number" step="any" aria-label=${`${t("administration.corner")} ${at + 1}, ${t(name === "lat" ? "map.latitude" : "map.longitude")}`} value=${corner[name]} onChange=${(event) => move(at, name, event.target.value)} /></td>`)}
        <td><button type="button" class="link" aria-label=${t("administration.corner.remove", { n: at + 1 })} onClick=${() => onChange({ corners: edited.corners.filter((_, other) => other !== at) })}>${t("administration.remove")}</button></td></tr>`)}</tbody></table>`}
    <p class="tools"><button class="button primary" disabled=${busy || !enough || !edited.name.trim()}>${t("administration.save")}</button>
      <button type="button" class="button" onClick=${() => onDone(undefined)}>${t("shell.cancel")}</button>
      <button type="button" class="button" disabled=${!edited.corners.length} onClick=${() => onChange({ corners: [] })}>${t("administration.corners.clear")}</button>
      ${stored && html`<${Sure} disabled=${busy} onSure=${remove}>${t("administration.delete")}<//>`}</p>
    <${Refused} problem=${problem} />
  </form><//>`;
}
