// Roads: where they flow badly now and next, one road in detail, how the day is, how right forecasts were, what people were told.

import { html, useMemo } from "../vendor/preact.mjs";
import { roads, roadsSource, told } from "../live/roads.js";
import { Panel } from "../components/panel.js";
import { Table } from "../components/table.js";
import { useSource } from "../components/use_source.js";
import { Flow } from "../components/words.js";
import { kmh, number } from "../components/numbers.js";
import { CityMap } from "../map/city_map.js";
import { showNext, useShow } from "../map/show.js";
import { setParams } from "../shell/route.js";
import { Age } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Accuracy } from "./accuracy.js";
import { RoadDetails } from "./details.js";
import { HORIZONS, slownessAt, speedAt, stepAt, STEPS } from "./flow.js";
import { RoadMessages } from "./messages.js";
import { Notices } from "./notices.js";
import { Trends } from "./trends.js";
import { WorstRoads } from "./worst.js";

const LAYERS = new Set(["roads"]);
const NONE = [];

export function chooseRoad(id) {
  showNext("road", id);
  setParams({ road: id });
}

export default function Roads({ params }) {
  useSource(roadsSource);
  const horizon = Math.min(3, Math.max(0, Number(params.ahead ?? 0) / 10 || 0));
  const { road } = params;
  const show = useShow(road ? { kind: "road", id: road } : null);
  const all = roads.value.list ?? NONE;
  const known = roads.value.knownAt?.(horizon) ?? 0;
  return html`<${RoadMessages} /><div class="room-body">
    <div class="room-title"><h1>${t("shell.room.roads")}</h1><span class="dim">${all.length > 0 && (horizon ? told.value.forecasts : told.value.speeds)?.body && t(horizon ? "roads.coverage.ahead" : "roads.coverage", { known, all: all.length })}</span></div>
    <div class="tools"><${Horizons} horizon=${horizon} /><${Search} all=${all} /></div>
    <div class="two">
      <div class="stack">
        <section class="panel map-panel" aria-label=${t("roads.map")}>
          <${CityMap} label=${t("roads.map")} layers=${LAYERS} horizon=${horizon} marked=${road} show=${show} onPick=${({ kind, id }) => kind === "road" && setParams({ road: id })} />
        </section>
        <ul class="legend" aria-label=${t("map.legend")}>${STEPS.map((_, step) => html`<li><${Flow} step=${step} /></li>`)}</ul>
        <${Panel} title=${t("map.worst.roads")} of=${horizon ? `+${HORIZONS[horizon]} min` : t("map.worst.now")}><${WorstRoads} horizon=${horizon} count=${8} chosen=${road} onChoose=${chooseRoad} /><//>
      </div>
      <div class="stack">
        ${road ? html`<${RoadDetails} id=${road} />` : html`<${Panel} title=${t("roads.road")} empty=${t("roads.point")} />`}
        <${Notices} onChoose=${chooseRoad} />
      </div>
    </div>
    <div class="columns"><${Trends} onChoose=${chooseRoad} /><${Accuracy} /></div>
    <${RoadTable} all=${all} horizon=${horizon} chosen=${road} />
  </div>`;
}

function Horizons({ horizon }) {
  return html`<fieldset class="switch"><legend>${t("map.horizon")}</legend>${HORIZONS.map((minutes, at) => html`<label>
    <input type="radio" name="horizon" checked=${at === horizon} onChange=${() => setParams({ ahead: minutes || undefined })} /><span>${minutes ? `+${minutes} min` : t("roads.now")}</span></label>`)}</fieldset>`;
}

function Search({ all }) {
  const find = (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    const found = all.find(({ id, name }) => name.toLowerCase() === wanted || id.toLowerCase() === wanted);
    if (found) chooseRoad(found.id);
  };
  return html`<label class="labelled">${t("roads.find")}<input class="field" type="search" list="road-names" placeholder=${t("roads.name")} autocomplete="off" spellcheck=${false} onInput=${find} /></label>
    ${useMemo(() => html`<datalist id="road-names">${[...new Set(all.map(({ name }) => name))].map((name) => html`<option key=${name} value=${name} />`)}</datalist>`, [all.length])}`;
}

function RoadTable({ all, horizon, chosen }) {
  const columns = [
    { key: "name", title: t("roads.road"), value: (road) => road.name, cell: (road) => html`<button type="button" class="link" onClick=${() => chooseRoad(road.id)}>${road.name}</button>` },
    { key: "flow", title: t("roads.flow"), value: (road) => slownessAt(road, horizon), first: (count, down) => roads.value.first?.(horizon, count, down), cell: (road) => html`<${Flow} step=${stepAt(road, horizon)} />` },
    ...HORIZONS.map((minutes, at) => ({ key: `speed${minutes}`, title: minutes ? `+${minutes} min` : t("roads.now"), number: true, value: (road) => speedAt(road, at), cell: (road) => kmh(speedAt(road, at)) })),
    { key: "free", title: t("roads.free.flow"), number: true, value: (road) => road.freeFlowKmh, cell: (road) => kmh(road.freeFlowKmh) },
    { key: "jam", title: t("roads.jam"), number: true, value: (road) => road.now?.jam_factor, cell: (road) => number(road.now?.jam_factor, 1) },
    { key: "told", title: t("roads.measured"), value: (road) => Date.parse(road.now?.last_updated), cell: (road) => html`<${Age} iso=${road.now?.last_updated} />` },
  ];
  return html`<${Panel} title=${t("shell.table")} of="km/h" empty=${!all.length && t("shell.nothing")}><${Table} label=${t("shell.room.roads")} columns=${columns} rows=${all} of=${roads.value} keyOf=${(road) => road.id} chosen=${chosen} limit=${20} order=${{ key: "flow", down: true }} /><//>`;
}
