// The registry of cameras: what they are called and where they stand, typed or placed on the map.

import { html, useMemo, useState } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Refused, Sure, useAct } from "../components/act.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { CityMap } from "../map/city_map.js";
import { linkTo, setParams } from "../shell/route.js";
import { Age } from "../shell/times.js";
import { t } from "../texts/index.js";

const LAYERS = new Set(["roads", "cameras"]);
const NEW = "new:";
const TEXTS = ["name", "road_segment", "description"];

const draftOf = (id, camera) => ({ of: id, camera_id: camera?.camera_id ?? "", name: camera?.name ?? "", road_segment: camera?.road_segment ?? "", description: camera?.description ?? "", latitude: camera?.latitude ?? "", longitude: camera?.longitude ?? "" });

export function Cameras({ params }) {
  const registered = useAnswer("/api/admin/cameras?limit=1000", { every: 30_000, all: true });
  const reported = useAnswer("/api/admin/cameras?limit=1000&registered=false", { every: 30_000, all: true });
  const cameras = useMemo(() => {
    const found = new Map((reported.body ?? []).map((camera) => [camera.camera_id, camera]));
    for (const camera of registered.body ?? []) found.set(camera.camera_id, camera);
    return [...found.values()];
  }, [registered.body, reported.body]);
  const [draft, setDraft] = useState(null);
  const chosen = params.camera;
  const stored = cameras.find((camera) => camera.camera_id === chosen);
  const edited = !chosen ? null : draft?.of === chosen ? draft : chosen === NEW ? draftOf(NEW) : stored && draftOf(chosen, stored);
  const choose = (id) => { setDraft(null); setParams({ camera: id }); };
  const change = (changes) => setDraft({ ...edited, ...changes });
  const pick = ({ kind, id, lat, lng }) => {
    if (edited && Number.isFinite(lat) && !(kind === "camera" && id === chosen)) change({ latitude: lat.toFixed(6), longitude: lng.toFixed(6) });
    else if (!edited && kind === "camera") choose(id);
  };
  const pin = useMemo(() => (edited && edited.latitude !== "" && edited.longitude !== "" ? [{ kind: "chosen", id: chosen, lat: Number(edited.latitude), lng: Number(edited.longitude), text: "◎", label: edited.name || edited.camera_id || t("administration.cameras.new") }] : []), [draft, chosen, registered.body]);
  const [show] = [useMemo(() => (Number.isFinite(stored?.latitude) ? { coordinates: [[stored.longitude, stored.latitude]] } : null), [stored?.camera_id])];
  const done = (id) => { choose(id); registered.again(); reported.again(); };
  return html`<div class="two">
    <div class="stack">
      <section class="panel map-panel" aria-label=${t("map.map")}><${CityMap} label=${t("administration.cameras.map")} layers=${LAYERS} markers=${pin} onPick=${pick} cursor=${edited ? "crosshair" : ""} show=${show} /></section>
      <${Panel} title=${t("administration.part.cameras")} of=${cameras.length || ""} answer=${registered} empty=${registered.body && !cameras.length && t("administration.cameras.none")}
        tools=${html`<button type="button" class="button" onClick=${() => choose(NEW)}>${t("administration.cameras.new")}</button>`}>
        <${CameraTable} cameras=${cameras} chosen=${chosen} onChoose=${choose} /><//>
    </div>
    <div class=${`stack ${edited ? "first" : ""}`}>${edited ? html`<${CameraForm} key=${chosen} edited=${edited} stored=${stored} onChange=${change} onDone=${done} />`
      : html`<${Panel} title=${t("alerts.filter.camera")} empty=${t("administration.cameras.choose")} />`}</div>
  </div>`;
}

function CameraTable({ cameras, chosen, onChoose }) {
  const columns = [
    { key: "id", title: t("alerts.filter.camera"), value: (camera) => camera.camera_id, cell: (camera) => html`<button type="button" class="link" onClick=${() => onChoose(camera.camera_id)}>${camera.camera_id}</button>` },
    { key: "name", title: t("administration.name"), value: (camera) => camera.name ?? "", cell: (camera) => camera.name ?? "–" },
    { key: "registered", title: t("administration.registered"), value: (camera) => Number(camera.registered), cell: (camera) => t(camera.registered ? "alerts.yes" : "administration.only.reported") },
    { key: "place", title: t("administration.place"), value: (camera) => camera.latitude, cell: (camera) => (camera.latitude === null ? "–" : `${camera.latitude.toFixed(5)}, ${camera.longitude.toFixed(5)}`) },
    { key: "segment", title: t("cameras.segment"), value: (camera) => camera.road_segment ?? "", cell: (camera) => camera.road_segment ?? "–" },
    { key: "seen", title: t("administration.last.seen"), value: (camera) => Date.parse(camera.last_seen), cell: (camera) => html`<${Age} iso=${camera.last_seen} />` },
  ];
  return html`<${Table} label=${t("administration.part.cameras")} columns=${columns} rows=${cameras} keyOf=${(camera) => camera.camera_id} chosen=${chosen} order=${{ key: "id" }} limit=${20} />`;
}

function CameraForm({ edited, stored, onChange, onDone }) {
  const { act, busy, problem } = useAct();
  const save = async (event) => {
    event.preventDefault();
    const number = (text) => (text === "" ? null : Number(text));
    const fields = { ...Object.fromEntries(TEXTS.map((name) => [name, edited[name].trim() || null])), latitude: number(edited.latitude), longitude: number(edited.longitude) };
    const id = edited.camera_id.trim();
    const camera = stored
      ? await act(`/api/admin/cameras/${encodeURIComponent(stored.camera_id)}`, { method: "PUT", body: fields }, t("administration.saved"))
      : await act("/api/admin/cameras", { body: { camera_id: id, ...fields } }, t("administration.saved"));
    if (camera) onDone(camera.camera_id);
  };
  const remove = async () => { if (await act(`/api/admin/cameras/${encodeURIComponent(stored.camera_id)}`, { method: "DELETE" }, t("administration.deleted"))) onDone(undefined); };
  const input = (name, label, more = {}) => html`<label class="labelled">${label}<input class="field" value=${edited[name]} maxlength="256" onInput=${(event) => onChange({ [name]: event.target.value })} ...${more} /></label>`;
  return html`<${Panel} title=${stored ? stored.name ?? stored.camera_id : t("administration.cameras.new")}><form class="fields bare" onSubmit=${save}>
    ${stored ? html`<p class="dim">${stored.camera_id} · <a href=${linkTo("cameras", { camera: stored.camera_id })}>${t("cameras.open")}</a></p>` : input("camera_id", t("administration.camera.id"), { required: true, spellcheck: false })}
    ${input("name", t("administration.name"))}${input("road_segment", t("cameras.segment"))}${input("description", t("map.description"), { maxlength: 4096 })}
    <p class="dim">${t("administration.cameras.press")}</p>
    <div class="pair">${input("latitude", t("map.latitude"), { type: "number", step: "any", min: -90, max: 90 })}${input("longitude", t("map.longitude"), { type: "number", step: "any", min: -180, max: 180 })}</div>
    <p class="tools"><button class="button primary" disabled=${busy}>${t("administration.save")}</button>
      <button type="button" class="button" onClick=${() => onDone(undefined)}>${t("shell.cancel")}</button>
      <button type="button" class="button" disabled=${edited.latitude === ""} onClick=${() => onChange({ latitude: "", longitude: "" })}>${t("administration.place.clear")}</button>
      ${stored?.registered && html`<${Sure} disabled=${busy} onSure=${remove}>${t("administration.delete")}<//>`}</p>
    <${Refused} problem=${problem} />
  </form><//>`;
}
