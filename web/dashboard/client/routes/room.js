// The route finder: two places and a departure in, a recommended way and its alternatives out. What is asked stands in the address.

import { html, useEffect, useMemo, useState } from "../vendor/preact.mjs";
import { camerasSource } from "../live/cameras.js";
import { told, roadsSource } from "../live/roads.js";
import { useSource } from "../components/use_source.js";
import { CityMap } from "../map/city_map.js";
import { setParams } from "../shell/route.js";
import { timeText } from "../shell/times.js";
import { t } from "../texts/index.js";
import { RouteForm } from "./form.js";
import { placeOf, textOf } from "./places.js";
import { RouteChoices } from "./choices.js";
import { useRoutes } from "./question.js";

const LAYERS = new Set(["roads"]);

export default function RouteFinder({ params }) {
  useSource(roadsSource);
  useSource(camerasSource);
  const ends = useMemo(() => [params.from, params.to].map((text) => (text ? placeOf(text) : null)), [params.from, params.to]);
  const newest = told.value.forecasts?.body?.newest ?? null;
  const { answer, problem, busy, changed, at } = useRoutes(ends, params.departure, newest);
  const [chosen, setChosen] = useState(0);
  useEffect(() => setChosen(0), [params.from, params.to, params.departure]);
  const routes = answer ? [answer.recommended_route, ...answer.alternatives] : [];
  const drawn = useMemo(() => routes.map((route, position) => ({ places: route.waypoints, chosen: position === chosen })), [answer, chosen]);
  const [show, setShow] = useState(null);
  useEffect(() => {
    if (answer && !changed.again) setShow({ coordinates: routes.flatMap((route) => route.waypoints.map(({ lat, lng }) => [lng, lat])) });
  }, [answer]);
  const put = (position, place) => setParams({ [position ? "to" : "from"]: textOf(place) });
  const pick = ({ lat, lng }) => {
    if (!Number.isFinite(lat)) return;
    if (ends[0] && !ends[1]) put(1, { lat, lng });
    else setParams({ from: textOf({ lat, lng }), to: undefined });
  };
  return html`<div class="route-room">
    <aside class="side">
      <h1>${t("shell.room.routes")}</h1>
      <${RouteForm} params=${params} ends=${ends} />
      <p role="status" class=${problem ? "told" : "dim"}>${statusOf({ ends, busy, problem, answer })}</p>
      ${answer && html`<p class="print-only">${t("routes.as.of", { time: timeText(at) })}</p>
        <${RouteChoices} answer=${answer} routes=${routes} chosen=${chosen} onChoose=${setChosen} changed=${changed} at=${at} />`}
    </aside>
    <${CityMap} label=${t("routes.map")} layers=${LAYERS} routes=${drawn} ends=${ends} onEnd=${put} onPick=${pick} cursor="crosshair" show=${show} />
  </div>`;
}

function statusOf({ ends, busy, problem, answer }) {
  if (problem) {
    const away = problem.status === 0 || problem.status >= 500;
    return `${t(away ? "routes.not.now" : "routes.none", { why: problem.message })} ${answer ? t("routes.from.before") : ""}`;
  }
  if (busy) return t("routes.looking");
  if (!ends[0]) return t("routes.click");
  return ends[1] ? "" : t("routes.now.destination");
}
