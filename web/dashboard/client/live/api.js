// Questions to the server: what it answers, what it refuses. The token that a person gave is kept until the tab is closed and goes
// nowhere else.

import { signal } from "../vendor/preact.mjs";
import { t } from "../texts/index.js";
import { fetched } from "./background/asking.js";

const TOKEN = "trafficapp-token";
const NAME = "trafficapp-name";

function kept(key) {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

/** `{token, name}` of who signed in; empty texts when nobody has. */
export const identity = signal({ token: kept(TOKEN), name: kept(NAME) });
/** What a token is asked for, in words; null when it is not. */
export const tokenAsked = signal(null);

export function signIn(token, name) {
  identity.value = { token, name };
  tokenAsked.value = null;
  try {
    sessionStorage.setItem(TOKEN, token);
    sessionStorage.setItem(NAME, name);
  } catch {
    // a browser that keeps nothing: it holds until the page is left
  }
}

/** What the server said no with; `message` is for people, `status` 0 when it said nothing, `retryMs` after which it may be asked again, or null. */
export class Problem extends Error {
  constructor(status, detail, retryMs = null) {
    super(detail);
    Object.assign(this, { status, retryMs });
  }
}

/** As `fetched` of the background, for one that this thread asks. */
async function fetchHere(path, { method, headers, body, timeoutMs }) {
  return fetched(path, headers, timeoutMs, { method, body });
}

/**
 * The answer's body, the address of its next page (if there is one), and which server it is read from instead of the usual one.
 * @param options.method GET without a body, POST with one, unless said.
 * @param options.asker who asks; this thread, unless it can wait until the background tells of it.
 */
export async function askPage(path, { body, method, timeoutMs = 8000, isUrgent = true, asker = fetchHere } = {}) {
  const { token, name } = identity.value;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (name && method !== "GET") headers["X-Admin-User"] = name;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const { status, body: said, link, retryAfter, source } = await asker(path, { method: method ?? (sent === undefined ? "GET" : "POST"), headers, body: sent, timeoutMs, isUrgent });
  if (!status) throw new Problem(0, t("shell.no.answer"));
  if (status < 200 || status > 299) {
    if (status === 401) tokenAsked.value = said?.detail ?? "";
    throw new Problem(status, said?.detail ?? `HTTP ${status}`, Number(retryAfter) * 1000 || null);
  }
  const next = /<([^>]+)>;\s*rel="?next/.exec(link ?? "");
  return { body: said, next: next ? next[1] : null, instead: source };
}

/** A file that the server makes, such as a picture or a report; with the token of who signed in, which a link would not send. */
export async function askBlob(path, { timeoutMs = 60_000 } = {}) {
  const { token } = identity.value;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { headers, signal: AbortSignal.timeout(timeoutMs) }).catch(() => { throw new Problem(0, t("shell.no.answer")); });
  if (answer.ok) return answer.blob();
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 401) tokenAsked.value = said.detail ?? "";
  throw new Problem(answer.status, said.detail ?? `HTTP ${answer.status}`);
}

export const ask = async (path, options) => (await askPage(path, options)).body;

/** A list with all its pages. */
export async function askAll(path, options) {
  const rows = [];
  for (let next = path; next;) {
    const page = await askPage(next, options);
    rows.push(...page.body);
    const address = page.next && new URL(page.next, location.href);
    next = address && address.pathname + address.search;
  }
  return rows;
}
