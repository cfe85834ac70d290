// Whether the servers are well, and whether what is shown was simulated.

import { computed, effect, signal } from "../vendor/preact.mjs";
import { sockets } from "./connection.js";
import { Question } from "./answers.js";
import { ask } from "./api.js";
import { fetchThere } from "./background.js";

const HEALTH_EVERY_MS = 5000;
const FAILURES = 2;
const SIMULATED_EVERY_MS = 30_000;

export const NAMES = ["kafka", "postgres", "redis"];
/** `{kafka, postgres, redis}`, each whether it answers; null while ours does not, undefined before it was asked. */
export const health = signal(undefined);
export const simulated = signal(false);
/** Newest time (ms) of what is shown, told by who shows it. */
export const newestFigure = signal(null);

export function noteFigure(at) {
  if (at > (newestFigure.peek() ?? 0)) newestFigure.value = at;
}

/** The time (ms) of the past that is shown instead of now; null: what is shown is of now. */
export const replayed = signal(null);

/** "live", "waiting", "standing" (a server behind ours is away) or "lost". */
export const state = computed(() => {
  const known = health.value;
  if (known === null) return "lost";
  const states = Object.values(sockets.value);
  if (states.includes("lost")) return "lost";
  if (known === undefined) return "waiting";
  if (!known.redis || !known.kafka) return "standing";
  return states.includes("waiting") ? "waiting" : "live";
});

export function watchServers() {
  let failed = 0;
  let before = null;
  const asking = new Question(async (isUrgent) => {
    const told = await ask("/health", { timeoutMs: 4000, isUrgent, asker: fetchThere });
    return Object.fromEntries(NAMES.map((name) => [name, told[name] === "ok"]));
  }, HEALTH_EVERY_MS);
  effect(() => {
    const { body, problem } = asking.answer.value;
    failed = problem ? failed + 1 : 0;
    // one answer may be late because this page was busy, and one server seem to be away because ours was
    if (failed >= FAILURES) health.value = null;
    else if (!problem && body && body !== before) {
      const seen = before ?? body;
      before = body;
      const known = Object.fromEntries(NAMES.map((name) => [name, body[name] || seen[name]]));
      if (NAMES.some((name) => known[name] !== health.peek()?.[name])) health.value = known;
    }
    // a server that went away is looked for more often, not less
    if (problem || NAMES.some((name) => body?.[name] === false)) asking.pauseMs = HEALTH_EVERY_MS / 4;
  });
  asking.start();
  const spans = new Question((isUrgent) => ask("/api/simulated-spans", { isUrgent, asker: fetchThere }), SIMULATED_EVERY_MS);
  effect(() => {
    const { body } = spans.answer.value;
    if (body) simulated.value = body.some((span) => span.goes_on);
  });
  spans.start();
}
