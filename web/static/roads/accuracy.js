// How right forecasts were, beside the simplest rule there is: that the mean speed of the newest step stays.

import { ask, Asking } from "../asking.js";
import { $, dayAndTime, drawing, element } from "../elements.js";
import { tableOf } from "./trends.js";

const EVERY_MS = 60_000;
const ROW = 26;
const WIDTH = 420;
const LEFT = 52;
const RIGHT = 136;

export class Accuracy {
  constructor() {
    new Asking(() => ask("/api/predict/accuracy"), EVERY_MS, (answer) => this.draw(answer), ({ status, message }) => {
      const words = status === 404 ? "This server does not compare forecasts with what happened." : `Not known now: ${message}.`;
      $("accuracy").replaceChildren(element("p", "dim", words));
    });
  }

  draw({ models, compared_to }) {
    if (!models.length) {
      $("accuracy").replaceChildren(element("p", "dim", "No forecast of the last 24 hours could be compared yet: the first ones can be some minutes after their time has come."));
      return;
    }
    const versions = [...new Set(models.map((row) => row.model_version))];
    const parts = versions.flatMap((version) => this.version(version, models.filter((row) => row.model_version === version)));
    const until = compared_to ? ` Compared up to ${dayAndTime.format(Date.parse(compared_to))}.` : "";
    parts.push(element("p", "by", `Mean error in km/h over all roads, last 24 hours; the grey mark is the error if the mean speed of the newest five minutes had stayed, so a bar should end before it.${until}`));
    $("accuracy").replaceChildren(...parts);
  }

  version(version, rows) {
    rows.sort((a, b) => a.horizon_minutes - b.horizon_minutes);
    const heads = ["ahead", "mean error", "RMSE", "last value", "within interval", "compared"];
    const table = tableOf(heads, rows.map((row) => [
      `${row.horizon_minutes} min`,
      row.mae_kmh.toFixed(2),
      row.rmse_kmh.toFixed(2),
      row.last_value_mae_kmh === null ? "–" : row.last_value_mae_kmh.toFixed(2),
      row.within_interval_share === null ? "–" : `${Math.round(100 * row.within_interval_share)} %`,
      row.predictions.toLocaleString("en"),
    ]));
    const scrolled = element("div", "sideways");
    scrolled.append(table);
    return [element("h3", "", nameOf(version)), chart(version, rows), scrolled];
  }
}

function nameOf(version) {
  return { "baseline:last_value": "Baseline: the mean speed of the newest step stays", "baseline:time_of_day": "Baseline: the usual speed at this time of day" }[version] ?? `Model ${version}`;
}

function chart(version, rows) {
  const most = Math.max(...rows.flatMap((row) => [row.mae_kmh, row.last_value_mae_kmh ?? 0]), 0.1);
  const x = (kmh) => LEFT + ((WIDTH - LEFT - RIGHT) * kmh) / most;
  const label = `Mean errors of ${nameOf(version)}; the figures are in the table below.`;
  const drawn = drawing("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${rows.length * ROW + 4}`, role: "img", "aria-label": label });
  rows.forEach((row, at) => {
    const y = at * ROW + 5;
    drawn.append(
      drawing("text", { x: LEFT - 6, y: y + 12, "text-anchor": "end" }, `${row.horizon_minutes} min`),
      drawing("rect", { class: "bar-mark", x: LEFT, y, width: x(row.mae_kmh) - LEFT, height: ROW - 10, rx: 1.5 }),
      drawing("text", { x: Math.max(x(row.mae_kmh), x(row.last_value_mae_kmh ?? 0)) + 6, y: y + 12 }, verdict(row)),
    );
    if (row.last_value_mae_kmh !== null) drawn.append(drawing("line", { class: "mark", x1: x(row.last_value_mae_kmh), x2: x(row.last_value_mae_kmh), y1: y - 3, y2: y + ROW - 7 }));
  });
  return drawn;
}

function verdict({ model_version, mae_kmh, last_value_mae_kmh }) {
  const error = `${mae_kmh.toFixed(1)} km/h`;
  if (last_value_mae_kmh === null || !last_value_mae_kmh || model_version === "baseline:last_value") return error;
  const share = Math.round(100 * (1 - mae_kmh / last_value_mae_kmh));
  return `${error}, ${Math.abs(share)} % ${share < 0 ? "worse" : "better"}`;
}
