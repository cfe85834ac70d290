// Questions as the page asks them, for rows that it does not want to read itself.

/** All rows of a list with its pages: `{rows}`, or `{problem: {status, detail}}`, status 0 when nothing was said. */
export async function askAll(path, token, timeoutMs = 30_000) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const rows = [];
  for (let next = path; next;) {
    let answer;
    try {
      answer = await fetch(next, { headers, signal: AbortSignal.timeout(timeoutMs) });
      if (answer.ok) for (const row of await answer.json()) rows.push(row);
    } catch {
      return { problem: { status: 0, detail: "" } };
    }
    if (!answer.ok) {
      const said = await answer.json().catch(() => ({}));
      return { problem: { status: answer.status, detail: said.detail ?? `HTTP ${answer.status}` } };
    }
    const link = /<([^>]+)>;\s*rel="?next/.exec(answer.headers.get("Link") ?? "");
    const address = link && new URL(link[1], location.href);
    next = address && address.pathname + address.search;
  }
  return { rows };
}

/**
 * An answer as a plain value, `{status, body, link, retryAfter, source}`: headers beside what was said; status 0 when nothing was, or what
 * was said broke off.
 * @param sent `{method, body}`, unless it is GET.
 */
export async function fetched(path, headers, timeoutMs, sent = {}) {
  try {
    const answer = await fetch(path, { ...sent, headers, signal: AbortSignal.timeout(timeoutMs) });
    const isJson = /json/.test(answer.headers.get("Content-Type") ?? "");
    const body = answer.status === 204 ? null : await (isJson ? answer.json() : answer.text()).catch((error) => {
      if (answer.ok) throw error;
      return null;
    });
    const [link, retryAfter, source] = ["Link", "Retry-After", "X-Data-Source"].map((name) => answer.headers.get(name));
    return { status: answer.status, body, link, retryAfter, source };
  } catch {
    return { status: 0 };
  }
}
