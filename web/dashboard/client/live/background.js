// The thread in the background, as the page talks to it: connections it holds, questions it asks, numbers it tells.

import { t } from "../texts/index.js";
import { identity, Problem, tokenAsked } from "./api.js";

const worker = new Worker(new URL("./background/main.js", import.meta.url), { type: "module" });
const sockets = new Map();
const answers = new Map();
let number = 0;
let hear = () => {};

worker.onmessage = ({ data }) => {
  for (const told of data) {
    if (told.socket !== undefined) sockets.get(told.socket)?.said(told.state);
    else if (told.answer !== undefined) {
      answers.get(told.answer)?.(told);
      answers.delete(told.answer);
    } else hear(told);
  }
};
worker.postMessage({ order: "start", timeOrigin: performance.timeOrigin });

export const order = (name, values = {}, buffers = []) => worker.postMessage({ order: name, ...values }, buffers);

/** @param told is called with `{fleet}`, `{vehicle}` or `{list}`. */
export function onVehicles(told) {
  hear = told;
}

/** What a `Connection` needs of a WebSocket, for one in the background; its messages stay there. */
export class BackgroundSocket {
  constructor(kind, address, protocols) {
    this.number = ++number;
    sockets.set(this.number, this);
    order("open", { number: this.number, kind, address, protocols });
  }

  said(state) {
    if (state === "close") sockets.delete(this.number);
    this[`on${state}`]?.({});
  }

  close() {
    sockets.delete(this.number);
    order("close", { number: this.number });
  }
}

function answerTo(name, values) {
  const asked = ++number;
  return new Promise((resolve) => {
    answers.set(asked, resolve);
    order(name, { number: asked, ...values });
  });
}

/**
 * Columns of `what` ("speeds", "forecasts") that are made of the rows of a path.
 * @param options.isUrgent whether the answer is told as soon as it is there, instead of with the next round of a second.
 */
export async function askColumns(what, path, { timeoutMs = 8000, isUrgent = false } = {}) {
  const { body, problem } = await answerTo("ask", { what, path, token: identity.peek().token, timeoutMs, isUrgent });
  if (!problem) return body;
  if (problem.status === 401) tokenAsked.value = problem.detail;
  throw new Problem(problem.status, problem.detail || t("shell.no.answer"));
}

/** GET as `askPage` takes it, asked in the background and told with the next round: the page's thread has no part in it. */
export const fetchThere = async (path, { headers, timeoutMs, isUrgent }) => (await answerTo("fetch", { path, headers, timeoutMs, isUrgent })).body;
