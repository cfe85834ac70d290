// Lines over time, drawn by uPlot; the same figures stand in a table for who does not see them.

import uPlot from "../vendor/uPlot.mjs";
import { html, useEffect, useRef } from "../vendor/preact.mjs";
import { colourOf } from "./colours.js";
import { language, scheme, clock } from "../shell/preferences.js";
import { locale, timeText, zoneText } from "../shell/times.js";

/**
 * @param props.times seconds since 1970, ascending.
 * @param props.lines `{label, values, colour (a custom property), digits, band: [low, high] (arrays), dashed}`
 * @param props.unit of the axis.
 */
export function Chart({ label, times, lines, unit = "", height = 190, from = 0, to = null }) {
  const place = useRef(null);
  const plot = useRef(null);
  const shape = JSON.stringify([lines.map(({ label, colour, band, dashed }) => [label, colour, Boolean(band), dashed]), unit, height, from, to, scheme.value, language.value, clock.value]);
  const data = [times, ...lines.flatMap(({ values, band }) => (band ? [values, ...band] : [values]))];
  useEffect(() => {
    const made = new uPlot(options(lines, unit, height, place.current.clientWidth, from, to), data, place.current);
    plot.current = made;
    const watch = new ResizeObserver(([{ contentRect }]) => { if (contentRect.width) made.setSize({ width: contentRect.width, height }); });
    watch.observe(place.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => made.redraw(false);
    dark.addEventListener("change", redraw);
    return () => {
      dark.removeEventListener("change", redraw);
      watch.disconnect();
      made.destroy();
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [times, ...lines.map(({ values }) => values)]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${place}></div>`;
}

function options(lines, unit, height, width, from, to) {
  const axis = { stroke: () => colourOf("--dim"), grid: { stroke: () => colourOf("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const series = [{ label: "", value: (_, at) => (at === null ? "–" : `${timeText(at * 1000)} ${zoneText()}`) }];
  const bands = [];
  for (const { label, colour, digits = 0, band, dashed } of lines) {
    const value = (_, number) => (number === null || number === undefined ? "–" : `${number.toLocaleString(locale(), { maximumFractionDigits: digits })} ${unit}`);
    series.push({ label, value, stroke: () => colourOf(colour), width: 1.8, dash: dashed ? [5, 4] : undefined, points: { show: false }, spanGaps: false });
    if (!band) continue;
    const at = series.length;
    bands.push({ series: [at + 1, at], fill: () => `color-mix(in srgb, ${colourOf(colour)} 18%, transparent)` });
    for (const end of ["≥", "≤"]) series.push({ label: end, value, width: 0, stroke: () => colourOf("--dim"), points: { show: false } });
  }
  return {
    width: Math.max(200, width),
    height,
    series,
    bands,
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(from, low ?? 0), to ?? Math.max(high ?? 1, from + 1) * 1.08] } },
    axes: [{ ...axis, values: (_, ticks) => ticks.map((at) => timeText(at * 1000, { seconds: false })), space: 70 }, { ...axis, size: 44 }],
    legend: { live: true },
  };
}
