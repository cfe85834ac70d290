// What people take away: figures as CSV, a picture as PNG. Both are made in this browser, of what is shown.

import { html, useState } from "../vendor/preact.mjs";
import { askBlob } from "../live/api.js";
import { colourOf } from "../components/colours.js";
import { say } from "../shell/toasts.js";
import { t } from "../texts/index.js";

const SCALE = 2;
const DRAWN = ["fill", "stroke", "stroke-width", "font-size", "font-family", "font-weight", "text-anchor", "opacity", "dominant-baseline"];

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A cell as spreadsheets read it: quoted where it must be, and never run as a formula. */
function cellOf(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function saveCsv(name, header, rows) {
  const text = [header, ...rows].map((row) => row.map(cellOf).join(",")).join("\r\n");
  save(new Blob([`\ufeff${text}\r\n`], { type: "text/csv;charset=utf-8" }), `${name}.csv`);
}

/** A picture of the page as PNG: an SVG with the colours that it has now, or a canvas, on the ground of a card. */
async function savePng(name, place) {
  const source = place.querySelector("svg, canvas");
  const { width, height } = source.getBoundingClientRect();
  const canvas = document.createElement("canvas");
  canvas.width = width * SCALE;
  canvas.height = height * SCALE;
  const pen = canvas.getContext("2d");
  pen.fillStyle = colourOf("--card");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(source instanceof HTMLCanvasElement ? source : await pictureOf(source, width, height), 0, 0, canvas.width, canvas.height);
  save(await new Promise((done) => canvas.toBlob(done, "image/png")), `${name}.png`);
}

function pictureOf(svg, width, height) {
  const copy = svg.cloneNode(true);
  const originals = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, at) => {
    const style = getComputedStyle(originals[at]);
    for (const name of DRAWN) element.setAttribute(name, style.getPropertyValue(name));
  });
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const picture = new Image();
  const loaded = new Promise((done, failed) => { picture.onload = () => done(picture); picture.onerror = failed; });
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  return loaded;
}

/** A report that the server prints, which takes some seconds. */
export function Report({ path, name }) {
  const [busy, setBusy] = useState(false);
  const fetchIt = async () => {
    setBusy(true);
    try {
      save(await askBlob(path), name);
    } catch (problem) {
      say(problem.message);
    }
    setBusy(false);
  };
  return html`<button type="button" class="button" disabled=${busy} onClick=${fetchIt}>${t(busy ? "analytics.printing" : "analytics.pdf")}</button>`;
}

/** Buttons of a panel: `csv()` gives `[header, rows]`. */
export function Exports({ name, csv, picture = true }) {
  const png = (event) => savePng(name, event.currentTarget.closest(".panel").querySelector(".inside")).catch(() => say(t("analytics.png.failed")));
  return html`<span class="exports">${csv && html`<button type="button" class="button" onClick=${() => saveCsv(name, ...csv())}>CSV</button>`}${picture && html`<button type="button" class="button" onClick=${png}>PNG</button>`}</span>`;
}
