// What people change: a token is asked for where one is needed, what was refused is said, and nothing is sent twice.

import { html, useState } from "../vendor/preact.mjs";
import { ask, identity, tokenAsked } from "../live/api.js";
import { say } from "../shell/toasts.js";
import { t } from "../texts/index.js";

/**
 * `act(path, options, done)` sends and returns the answer, or undefined when it was refused.
 * @param options as `ask` takes them; `open`: no token is needed. @param done what to say then.
 */
export function useAct() {
  const [state, setState] = useState({ busy: false, problem: "" });
  const act = async (path, { open = false, ...options } = {}, done = "") => {
    if (!open && !identity.peek().token) {
      tokenAsked.value = t("administration.sign.in");
      return undefined;
    }
    setState({ busy: true, problem: "" });
    try {
      const answer = await ask(path, { timeoutMs: 30_000, ...options });
      setState({ busy: false, problem: "" });
      if (done) say(done);
      return answer ?? {};
    } catch (refused) {
      setState({ busy: false, problem: refused.message });
      return undefined;
    }
  };
  return { ...state, act, forget: () => setState({ busy: false, problem: "" }) };
}

export function Refused({ problem }) {
  return problem ? html`<p class="told" role="alert">${problem}</p>` : null;
}

/** A button that asks once more, in its own place, before it does what cannot be undone. */
export function Sure({ children, disabled, onSure }) {
  const [asked, setAsked] = useState(false);
  if (!asked) return html`<button type="button" class="button" disabled=${disabled} onClick=${() => setAsked(true)}>${children}</button>`;
  return html`<span class="sure" role="group" aria-label=${t("administration.sure")}>${t("administration.sure")}
    <button type="button" class="button primary" disabled=${disabled} onClick=${() => { setAsked(false); onSure(); }}>${children}</button>
    <button type="button" class="button" onClick=${() => setAsked(false)}>${t("shell.cancel")}</button></span>`;
}
