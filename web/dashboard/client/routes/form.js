// What is asked: from where, to where, when.

import { html, useEffect, useState } from "../vendor/preact.mjs";
import { settings } from "../live/settings.js";
import { Icon } from "../shell/icons.js";
import { setParams } from "../shell/route.js";
import { zoneText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { placeNames, placeOf } from "./places.js";

const MINUTES = ["15", "30", "60"];

export function RouteForm({ params, ends }) {
  const at = params.departure && !MINUTES.includes(params.departure) ? params.departure : null;
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    setParams({ from: given.get("from"), to: given.get("to") });
  };
  return html`<form class="route-form" onSubmit=${submit} autocomplete="off">
    <${Place} name="from" label=${t("routes.from")} value=${params.from} known=${ends[0]} />
    <${Place} name="to" label=${t("routes.to")} value=${params.to} known=${ends[1]} />
    <datalist id="places">${placeNames().map((name) => html`<option key=${name} value=${name} />`)}</datalist>
    <label class="labelled">${t("routes.departure")}<select class="field" value=${at ? "at" : params.departure ?? ""} onChange=${(event) => setParams({ departure: event.target.value === "at" ? new Date(Date.now() + 3_600_000).toISOString().slice(0, 16) + "Z" : event.target.value })}>
      <option value="">${t("routes.departure.0")}</option>
      ${MINUTES.map((n) => html`<option value=${n} selected=${params.departure === n}>${t("routes.departure.n", { n })}</option>`)}
      <option value="at" selected=${Boolean(at)}>${t("routes.departure.at")}</option>
    </select></label>
    ${at && html`<${Later} at=${at} />`}
    <div class="tools">
      <button class="button primary">${t("routes.find")}</button>
      <button type="button" class="icon-button" title=${t("routes.swap")} aria-label=${t("routes.swap")} onClick=${() => setParams({ from: params.to, to: params.from })}><${Icon} name="swap" /></button>
      <button type="button" class="button" onClick=${() => setParams({ from: undefined, to: undefined, departure: undefined })}>${t("routes.clear")}</button>
    </div>
  </form>`;
}

function Place({ name, label, value = "", known }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const wrong = Boolean(text) && !known && text === value && !placeOf(text);
  return html`<label class="labelled">${label}
    <input class="field" name=${name} list="places" value=${text} placeholder=${t("routes.place")} spellcheck=${false} aria-invalid=${wrong} aria-describedby=${wrong ? `${name}-wrong` : undefined}
      onInput=${(event) => setText(event.target.value)} onChange=${(event) => setParams({ [name]: event.target.value })} />
    ${wrong && html`<span id=${`${name}-wrong`} class="told">${t("routes.place.not", { text })}</span>`}</label>`;
}

/** A departure by the city's clock. */
function Later({ at }) {
  const zone = settings.value?.time_zone ?? "UTC";
  const change = (event) => {
    const instant = instantOf(event.target.value, zone);
    if (instant !== null) setParams({ departure: new Date(instant).toISOString().slice(0, 16) + "Z" });
  };
  return html`<label class="labelled">${t("routes.departure.when", { zone: `${zone}, ${zoneText(zone)}` })}<input class="field" type="datetime-local" value=${wallClock(Date.parse(at), zone)} onChange=${change} /></label>`;
}

/** "2026-11-30T08:15" of a moment by a zone's clock. */
export function wallClock(at, zone) {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(at);
  const value = Object.fromEntries(parts.map(({ type, value: text }) => [type, text]));
  return `${value.year}-${value.month}-${value.day}T${value.hour}:${value.minute}`;
}

/** The moment at which a zone's clock shows a text as above; the later one where it is skipped. */
export function instantOf(text, zone) {
  const wanted = Date.parse(`${text}Z`);
  if (!Number.isFinite(wanted)) return null;
  let at = wanted;
  // twice: the offset at the first guess may be that of before a clock change
  for (let turn = 0; turn < 2; turn++) at += wanted - Date.parse(`${wallClock(at, zone)}Z`);
  return at;
}
