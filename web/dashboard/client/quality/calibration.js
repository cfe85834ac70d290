// Calibration: a distance that is known in metres, drawn on a still picture or counted in pixels, gives the metres of a pixel.

import { html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { askBlob } from "../live/api.js";
import { camerasSource, registered } from "../live/cameras.js";
import { useAnswer } from "../live/answers.js";
import { hasFeed } from "../live/settings.js";
import { colourOf } from "../components/colours.js";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { useSource } from "../components/use_source.js";
import { say } from "../shell/toasts.js";
import { t } from "../texts/index.js";

const REACH = 22;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const distance = ([a, b]) => Math.hypot(b.x - a.x, b.y - a.y);

export function Calibration() {
  useSource(camerasSource);
  const [camera, setCamera] = useState("");
  const [metres, setMetres] = useState("");
  const [typed, setTyped] = useState("");
  const [frameWidth, setFrameWidth] = useState("");
  const [picture, setPicture] = useState(null);
  const [ends, setEnds] = useState(null);
  // the detector may see the picture larger or smaller than the file is
  const scale = picture && Number(frameWidth) > 0 ? Number(frameWidth) / picture.width : 1;
  const pixels = picture && ends ? distance(ends) * scale : Number(typed) || null;
  const result = pixels > 0 && Number(metres) > 0 ? Number(metres) / pixels : null;
  const take = (bitmap) => {
    setPicture(bitmap);
    setFrameWidth(String(bitmap.width));
    setEnds([{ x: bitmap.width * 0.3, y: bitmap.height * 0.6 }, { x: bitmap.width * 0.7, y: bitmap.height * 0.6 }]);
  };
  return html`<div class="two">
    <div class="stack">
      <${Panel} title=${t("quality.picture")} tools=${html`<${Sources} onTake=${take} />`} empty=${!picture && t("quality.picture.none")}>
        ${picture && html`<${Drawing} picture=${picture} ends=${ends} onEnds=${setEnds} text=${`${number(pixels, 1)} px`} /><p class="by">${t("quality.draw")}</p>`}<//>
    </div>
    <${Panel} title=${t("quality.part.calibration")}><form class="fields bare" onSubmit=${(event) => event.preventDefault()}>
      <p class="dim">${t("quality.calibration.what")}</p>
      <label class="labelled">${t("alerts.filter.camera")}<input class="field" list="calibrated" value=${camera} maxlength="256" onInput=${(event) => setCamera(event.target.value)} /></label>
      <datalist id="calibrated">${[...registered.value.keys()].map((id) => html`<option value=${id} />`)}</datalist>
      <label class="labelled">${t("quality.metres")}<input class="field" type="number" min="0.01" step="any" value=${metres} onInput=${(event) => setMetres(event.target.value)} /></label>
      ${picture ? html`<label class="labelled">${t("quality.frame")}<input class="field" type="number" min="1" step="1" value=${frameWidth} onInput=${(event) => setFrameWidth(event.target.value)} /></label>
          <p class="dim">${t("quality.pixels.drawn", { n: number(pixels, 1) })} <button type="button" class="link" onClick=${() => { setPicture(null); setEnds(null); }}>${t("quality.without")}</button></p>`
        : html`<label class="labelled">${t("quality.pixels")}<input class="field" type="number" min="0.1" step="any" value=${typed} onInput=${(event) => setTyped(event.target.value)} /></label>`}
      <${Result} result=${result} camera=${camera.trim()} />
    </form><//>
  </div>`;
}

function Sources({ onTake }) {
  const stills = useAnswer(hasFeed("still-cameras") ? "/api/still-cameras" : null, { every: 60_000, all: true });
  const usable = (stills.body ?? []).filter((still) => still.snapshot_kind === "image");
  const load = async (blob) => {
    try {
      onTake(await createImageBitmap(blob));
    } catch {
      say(t("quality.picture.bad"));
    }
  };
  const choose = async (event) => {
    const id = event.target.value;
    if (!id) return;
    try {
      load(await askBlob(`/api/still-cameras/${encodeURIComponent(id)}/snapshot`));
    } catch (problem) {
      say(problem.message);
    }
  };
  return html`<label class="labelled">${t("quality.file")}<input class="field" type="file" accept="image/png,image/jpeg,image/webp" onChange=${(event) => event.target.files[0] && load(event.target.files[0])} /></label>
    ${usable.length > 0 && html`<label class="labelled">${t("quality.still")}<select class="field" onChange=${choose}><option value=""></option>${usable.map((still) => html`<option value=${still.camera_id}>${still.camera_id}</option>`)}</select></label>`}`;
}

/** The picture with a line on it, whose ends are dragged, or moved by arrow keys. */
function Drawing({ picture, ends, onEnds, text }) {
  const canvas = useRef(null);
  const dragged = useRef(null);
  const [chosen, setChosen] = useState(0);
  useEffect(() => paint(canvas.current, picture, ends, chosen), [picture, ends, chosen]);
  const placeOf = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return { x: Math.min(picture.width, Math.max(0, ((event.clientX - box.left) / box.width) * picture.width)), y: Math.min(picture.height, Math.max(0, ((event.clientY - box.top) / box.height) * picture.height)) };
  };
  const put = (at, place) => onEnds(ends.map((end, position) => (position === at ? place : end)));
  const press = (event) => {
    const place = placeOf(event);
    const reach = (REACH * picture.width) / canvas.current.clientWidth;
    const near = ends.map((end) => distance([end, place]));
    const at = near[0] <= near[1] ? 0 : 1;
    dragged.current = at;
    setChosen(at);
    if (near[at] > reach) put(at, place);
    canvas.current.setPointerCapture(event.pointerId);
  };
  const key = (event) => {
    if (event.key === " ") setChosen(1 - chosen);
    else if (STEPS[event.key]) {
      const by = event.shiftKey ? 10 : 1;
      const [x, y] = STEPS[event.key];
      put(chosen, { x: Math.min(picture.width, Math.max(0, ends[chosen].x + x * by)), y: Math.min(picture.height, Math.max(0, ends[chosen].y + y * by)) });
    } else return;
    event.preventDefault();
  };
  return html`<canvas class="drawing" ref=${canvas} width=${picture.width} height=${picture.height} tabindex="0" role="application" aria-roledescription=${t("quality.picture")} aria-label=${`${t("quality.draw")} ${text}`}
    onPointerDown=${press} onPointerMove=${(event) => dragged.current !== null && put(dragged.current, placeOf(event))} onPointerUp=${() => { dragged.current = null; }} onKeyDown=${key}></canvas>
    <output class="by" aria-live="polite">${text}</output>`;
}

function paint(canvas, picture, ends, chosen) {
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  const width = Math.max(2, picture.width / 320);
  for (const [colour, thick] of [["#ffffff", width * 2.2], [colourOf("--severe-fill"), width]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.beginPath();
    pen.moveTo(ends[0].x, ends[0].y);
    pen.lineTo(ends[1].x, ends[1].y);
    pen.stroke();
  }
  ends.forEach(({ x, y }, at) => {
    pen.beginPath();
    pen.arc(x, y, width * (at === chosen ? 4.5 : 3.5), 0, 2 * Math.PI);
    pen.fillStyle = at === chosen ? colourOf("--severe-fill") : "#ffffff";
    pen.strokeStyle = at === chosen ? "#ffffff" : colourOf("--severe-fill");
    pen.lineWidth = width;
    pen.fill();
    pen.stroke();
  });
}

/** A few significant digits: metres of a pixel are no better known. */
const significant = (value) => Number(value.toPrecision(4));

function Result({ result, camera }) {
  if (result === null) return html`<p class="empty" role="status">${t("quality.result.none")}</p>`;
  const value = significant(result);
  const lines = [
    camera && [t("quality.setting"), `TRAFFICAPP_CAMERAS='${JSON.stringify({ [camera]: { pixel_to_meter: value } })}'`],
    camera && [t("quality.setting.short"), `CAMERA_CALIBRATIONS='${JSON.stringify({ [camera]: value })}'`],
    [t("quality.setting.all"), `TRAFFICAPP_SPEED__PIXEL_TO_METER=${value}`],
  ].filter(Boolean);
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      say(t("quality.copied"));
    } catch {
      say(text);
    }
  };
  return html`<div role="status"><p><b class="large">${value}</b> ${t("quality.per.pixel")} <span class="dim">(pixel_to_meter)</span></p>
    <p class="by">${t("quality.check", { kmh: number(value * 10 * 25 * 3.6, 0) })}</p>
    ${!camera && html`<p class="dim">${t("quality.name.camera")}</p>`}
    ${lines.map(([title, text]) => html`<h3>${title}</h3><p class="tools"><code class="long line">${text}</code><button type="button" class="button" onClick=${() => copy(text)}>${t("quality.copy")}</button></p>`)}
    <p class="by">${t("quality.restart")}</p></div>`;
}
