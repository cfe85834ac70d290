// The thread in the background, as the page talks to it: connections it holds, questions it asks, numbers it tells.

import { t } from "../texts/index.js";
import { identity, Problem, tokenAsked } from "./api.js";

const worker = new Worker(new URL("./background/main.js", import.meta.url), { type: "module" });
const sockets = new Map();
const answers = new Map();
let number = 0;
let hear = () => {};

worker.onmessage = ({ data }) => {
  if (data.socket !== undefined) sockets.get(data.socket)?.said(data.state);
  else if (data.answer !== undefined) {
    answers.get(data.answer)?.(data);
    answers.delete(data.answer);
  } else hear(data);
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

/** Columns of `what` ("speeds", "forecasts") that are made of the rows of a path. */
export async function askColumns(what, path, timeoutMs = 8000) {
  const asked = ++number;
  const { body, problem } = await new Promise((resolve) => {
    answers.set(asked, resolve);
    order("ask", { number: asked, what, path, token: identity.peek().token, timeoutMs });
  });
  if (!problem) return body;
  if (problem.status === 401) tokenAsked.value = problem.detail;
  throw new Problem(problem.status, problem.detail || t("shell.no.answer"));
}
