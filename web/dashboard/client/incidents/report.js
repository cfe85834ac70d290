// Reports an incident, as anybody may: it stays unverified until an operator or a desk says the same.

import { html, useState } from "../vendor/preact.mjs";
import { Refused, useAct } from "../components/act.js";
import { Panel } from "../components/panel.js";
import { t, wordOf } from "../texts/index.js";

const KINDS = ["accident", "fire", "hazard", "breakdown", "road_closure", "heavy_traffic", "medical", "theft", "other"];
const HEADINGS = [["", "both"], ["0", "north"], ["90", "east"], ["180", "south"], ["270", "west"]];

export function Report({ placed, onPlace, onDone }) {
  const { act, busy, problem } = useAct();
  const [typed, setTyped] = useState({ kind: "accident", severity: "", heading: "", description: "" });
  const set = (name) => (event) => setTyped({ ...typed, [name]: event.target.value });
  const move = (name) => (event) => { if (event.target.value !== "") onPlace({ lat: placed?.lat ?? 0, lng: placed?.lng ?? 0, [name]: Number(event.target.value) }); };
  const submit = async (event) => {
    event.preventDefault();
    const body = { incident_type: typed.kind, latitude: placed.lat, longitude: placed.lng, description: typed.description.trim() || null };
    for (const name of ["severity", "heading"]) if (typed[name] !== "") body[name] = Number(typed[name]);
    if (await act("/api/incidents/report", { body, open: true }, t("incidents.report.done"))) onDone();
  };
  return html`<${Panel} title=${t("incidents.report")}><form class="fields bare" onSubmit=${submit}>
    <p class="dim">${t("incidents.report.what")}</p>
    <label class="labelled">${t("map.kind")}<select class="field" value=${typed.kind} onChange=${set("kind")}>${KINDS.map((kind) => html`<option value=${kind} selected=${kind === typed.kind}>${wordOf("incidents.kind", kind)}</option>`)}</select></label>
    <label class="labelled">${t("incidents.report.severity")}<select class="field" value=${typed.severity} onChange=${set("severity")}><option value="">${t("incidents.report.usual")}</option>${[1, 2, 3, 4, 5].map((level) => html`<option value=${level}>${level} – ${t(`incidents.level.${level}`)}</option>`)}</select></label>
    <label class="labelled">${t("incidents.report.heading")}<select class="field" value=${typed.heading} onChange=${set("heading")}>${HEADINGS.map(([value, word]) => html`<option value=${value}>${t(`incidents.heading.${word}`)}</option>`)}</select></label>
    <label class="labelled">${t("map.description")}<textarea class="field" rows="3" maxlength="2000" value=${typed.description} onInput=${set("description")}></textarea></label>
    <p class="dim" role="status">${t(placed ? "incidents.report.placed" : "incidents.report.press")}</p>
    <div class="pair">
      <label class="labelled">${t("map.latitude")}<input class="field" type="number" step="any" min="-90" max="90" required value=${placed?.lat ?? ""} onChange=${move("lat")} /></label>
      <label class="labelled">${t("map.longitude")}<input class="field" type="number" step="any" min="-180" max="180" required value=${placed?.lng ?? ""} onChange=${move("lng")} /></label></div>
    <p class="tools"><button class="button primary" disabled=${busy || !placed}>${t("incidents.report.send")}</button></p>
    <${Refused} problem=${problem} />
  </form><//>`;
}
