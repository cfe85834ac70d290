// Questions to the server: what it answers, what it refuses, and sockets that come back by themselves.
// Where reads need a token, the person is asked for it; it is kept until the tab is closed and goes nowhere else.

import { $, element } from "./elements.js";

const KEPT_AS = "trafficapp-token";
const tokenChanged = new EventTarget();
let token = "";
try {
  token = sessionStorage.getItem(KEPT_AS) ?? "";
} catch {
  // a browser that keeps nothing: the token holds until the page is left
}

/** What the server said no with; `detail` is for people. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The answer's body, the address of its next page (if there is one), and which server it is read from instead. */
export async function askPage(path, { body, timeoutMs = 8000 } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(timeoutMs) });
  } catch {
    throw new Problem(0, "the server does not answer");
  }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    if (answer.status === 401 || answer.status === 403) askForToken(said.detail);
    throw new Problem(answer.status, said.detail ?? `the server answered ${answer.status}`);
  }
  const next = /<([^>]+)>;\s*rel="?next/.exec(answer.headers.get("Link") ?? "");
  return { body: await answer.json(), next: next ? next[1] : null, instead: answer.headers.get("X-Data-Source") };
}

export async function ask(path, options) {
  return (await askPage(path, options)).body;
}

/** A list with all its pages, and which server it was read from instead of the usual one. */
export async function askAll(path) {
  const rows = [];
  let instead = null;
  for (let next = path; next;) {
    const page = await askPage(next);
    rows.push(...page.body);
    instead ??= page.instead;
    const address = page.next && new URL(page.next, location.href);
    next = address && address.pathname + address.search;
  }
  return { rows, instead };
}

/** Asks again and again, later and later while nothing comes, and not while nobody looks. */
export class Asking {
  constructor(question, everyMs, onAnswer, onProblem) {
    Object.assign(this, { question, everyMs, onAnswer, onProblem, pauseMs: everyMs });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.now(); });
    tokenChanged.addEventListener("change", () => this.now());
    this.now();
  }

  async now() {
    clearTimeout(this.next);
    const turn = (this.turn = (this.turn ?? 0) + 1);
    let problem = null;
    let answer;
    try {
      answer = await this.question();
    } catch (error) {
      problem = error instanceof Problem ? error : new Problem(0, `the answer is not understood (${error.message})`);
    }
    if (turn !== this.turn) return;
    this.pauseMs = problem ? Math.min(this.pauseMs * 1.5, Math.max(60_000, this.everyMs)) : this.everyMs;
    this.next = setTimeout(() => { if (!document.hidden) this.now(); }, this.pauseMs);
    if (problem) this.onProblem(problem);
    else this.onAnswer(answer);
  }
}

/** A connection that comes back by itself. */
export class Connection {
  constructor(path, onMessage, onState = () => {}, silentMs = 12_000) {
    Object.assign(this, { path, onMessage, onState, silentMs, pause: 500, stopped: false });
    tokenChanged.addEventListener("change", () => {
      if (this.stopped) return;
      this.pause = 500;
      this.drop();
    });
    this.open();
  }

  open() {
    clearTimeout(this.retry);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}${this.path}`, token ? ["bearer", token] : []);
    this.socket.onopen = () => { if (this.silentMs === Infinity) this.onState("live"); };
    this.socket.onmessage = (event) => {
      this.pause = 500;
      this.onState("live");
      this.listen();
      this.onMessage(JSON.parse(event.data));
    };
    this.socket.onclose = () => {
      clearTimeout(this.silence);
      if (this.stopped) return;
      this.onState("lost");
      clearTimeout(this.retry);
      this.retry = setTimeout(() => this.open(), this.pause * (0.7 + Math.random() * 0.6));
      this.pause = Math.min(this.pause * 2, 10_000);
    };
    this.listen();
  }

  listen() {
    clearTimeout(this.silence);
    if (this.silentMs !== Infinity) this.silence = setTimeout(() => this.drop(), this.silentMs);
  }

  drop() {
    // a dead network never answers the close, so do not wait for it
    const { socket } = this;
    const { onclose } = socket;
    Object.assign(socket, { onopen: null, onmessage: null, onclose: null });
    socket.close();
    if (onclose) onclose();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.retry);
    clearTimeout(this.silence);
    this.socket.close();
  }
}

function askForToken(why = "this server tells figures only to callers with a token") {
  const form = $("token-form") ?? tokenForm();
  form.hidden = false;
  form.querySelector("p").textContent = `A token is needed: ${why}.`;
}

function tokenForm() {
  const form = element("form", "notice token");
  form.id = "token-form";
  const label = element("label", "", "Token ");
  const input = element("input");
  Object.assign(input, { type: "password", autocomplete: "off", spellcheck: false, required: true });
  label.append(input);
  const words = element("p");
  words.setAttribute("role", "status");
  form.append(words, label, element("button", "", "Use it"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    token = input.value.trim();
    try {
      sessionStorage.setItem(KEPT_AS, token);
    } catch {
      // see above
    }
    input.value = "";
    form.hidden = true;
    tokenChanged.dispatchEvent(new Event("change"));
  });
  document.querySelector("header").after(form);
  return form;
}
