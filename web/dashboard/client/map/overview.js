// The city in some numbers, and where it flows worst.

import { html } from "../vendor/preact.mjs";
import { active } from "../live/alerts.js";
import { useAnswer } from "../live/answers.js";
import { hasFeed } from "../live/settings.js";
import { number } from "../components/numbers.js";
import { Figures, Panel } from "../components/panel.js";
import { Level, Severity } from "../components/words.js";
import { Age } from "../shell/times.js";
import { go, linkTo, route, setParams } from "../shell/route.js";
import { HORIZONS } from "../roads/flow.js";
import { WorstRoads } from "../roads/worst.js";
import { t } from "../texts/index.js";
import { showNext } from "./show.js";

export function Overview({ horizon, kiosk, hint }) {
  const summary = useAnswer("/api/dashboard/summary", { every: 5000 });
  const city = useAnswer(hasFeed("vehicle-positions") ? "/api/analytics/city-summary" : null, { every: 5000 });
  const { body } = summary;
  const figures = body && [
    [t("map.level.of.city"), html`<${Level} level=${body.overall_congestion_level} />`],
    [t("map.mean.speed"), number(body.avg_speed_kmh, 1), "km/h"],
    [t("map.vehicles.seen"), number(body.total_vehicles_last_window)],
    [t("map.open.alerts"), html`<a href=${linkTo("alerts")}>${number(active.value.length)}</a>`],
    ...(city.body ? [[t("map.congested.roads"), number(city.body.congested_roads)], [t("map.cars"), number(city.body.total_vehicles)]] : []),
  ];
  return html`
    <${Panel} title=${t("map.overview")} answer=${summary} of=${body && html`<${Age} iso=${body.last_updated} />`}>
      ${figures && html`<${Figures} entries=${figures} />`}
      ${hint && !kiosk && html`<p class="by">${t("map.hint")}</p>`}
    <//>
    ${kiosk && html`<${Panel} title=${t("alerts.open")}><ol class="plain picks">${active.value.slice(0, 8).map((alert) => html`<li key=${alert.id} class="pick"><${Severity} severity=${alert.severity} /><span class="grow">${alert.title}</span><${Age} iso=${alert.triggered_at} /></li>`)}</ol><//>`}
    <${Panel} title=${t("map.worst.roads")} of=${horizon ? `+${HORIZONS[horizon]} min` : t("map.worst.now")}>
      <${WorstRoads} horizon=${horizon} count=${kiosk ? 10 : 6} onChoose=${(id) => choose("road", id)} />
    <//>`;
}

export function choose(kind, id) {
  showNext(kind, id);
  if (route.peek().room === "map") setParams({ kind, id });
  else go("map", { kind, id });
}
