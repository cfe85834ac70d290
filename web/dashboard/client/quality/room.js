// Data quality: which cameras are late or silent, which are out of order, how good each feed is, what was refused and why, and how many metres a pixel is.

import { html } from "../vendor/preact.mjs";
import { partOf, Parts } from "../components/parts.js";
import { t } from "../texts/index.js";
import { Calibration } from "./calibration.js";
import { CameraQuality } from "./cameras.js";
import { Counted } from "./counted.js";
import { Feeds } from "./feeds.js";
import { SourceHealth } from "./health.js";
import { Refusals } from "./refused.js";

function Lateness() {
  return html`<${CameraQuality} /><${Counted} />`;
}

const PARTS = { cameras: Lateness, health: SourceHealth, feeds: Feeds, refused: Refusals, calibration: Calibration };

export default function Quality({ params }) {
  const parts = Object.keys(PARTS).map((id) => [id, t(`quality.part.${id}`)]);
  const shown = partOf(parts, params.part);
  const Part = PARTS[shown];
  return html`<div class="room-body"><div class="room-title"><h1>${t("shell.room.quality")}</h1></div>
    <${Parts} room="quality" label=${t("shell.room.quality")} parts=${parts} shown=${shown} />
    <${Part} key=${shown} params=${params} /></div>`;
}
