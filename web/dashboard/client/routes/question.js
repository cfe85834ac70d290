// Asks for a route, and again when the speeds have changed; then the view stays as it is.

import { useEffect, useRef, useState } from "../vendor/preact.mjs";
import { ask, Problem } from "../live/api.js";

/** Epoch ms of a departure: "now", minutes from now, or a time; null is now. */
export function departureOf(text) {
  if (!text) return null;
  if (/^\d{1,4}$/.test(text)) return Date.now() + Number(text) * 60_000;
  const at = Date.parse(text);
  return Number.isFinite(at) ? at : null;
}

/** @param newest time of the newest forecasts: a change asks again. */
export function useRoutes(ends, departure, newest) {
  const [state, setState] = useState({ answer: null, problem: null, busy: false, changed: {}, at: null });
  const turn = useRef(0);
  const asked = useRef("");
  const key = JSON.stringify([ends, departure]);
  useEffect(() => {
    const mine = ++turn.current;
    const [origin, destination] = ends;
    if (!origin || !destination) {
      asked.current = "";
      setState({ answer: null, problem: null, busy: false, changed: {}, at: null });
      return;
    }
    const again = asked.current === key;
    asked.current = key;
    if (!again) setState((before) => ({ ...before, problem: null, busy: true }));
    const at = departureOf(departure);
    const body = { origin, destination, departure_time: at === null ? "now" : new Date(at).toISOString() };
    ask("/route/recommend", { body }).then((answer) => {
      if (mine !== turn.current) return;
      setState((before) => {
        const places = (told) => JSON.stringify(told?.recommended_route.waypoints);
        const route = again && before.answer !== null && places(before.answer) !== places(answer);
        return { answer, problem: null, busy: false, changed: { again, route: route || (again && before.changed.route) }, at: Date.now() };
      });
    }, (error) => {
      if (mine !== turn.current) return;
      const problem = error instanceof Problem ? error : new Problem(0, error.message);
      setState((before) => ({ answer: again ? before.answer : null, problem, busy: false, changed: {}, at: before.at }));
    });
  }, [key, newest]);
  return state;
}
