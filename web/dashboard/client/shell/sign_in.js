// Asks for a token where one is needed.

import { html, useEffect, useRef } from "../vendor/preact.mjs";
import { identity, signIn, tokenAsked } from "../live/api.js";
import { settings } from "../live/settings.js";
import { t } from "../texts/index.js";

export function SignIn() {
  const dialog = useRef(null);
  const asked = tokenAsked.value !== null;
  useEffect(() => {
    if (asked && !dialog.current.open) dialog.current.showModal();
    else if (!asked && dialog.current.open) dialog.current.close();
  }, [asked]);
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    signIn(given.get("token").trim(), given.get("name").trim());
    event.target.reset();
  };
  const none = settings.value && !settings.value.tokens_exist;
  return html`<dialog ref=${dialog} aria-labelledby="sign-in-title" onClose=${() => { tokenAsked.value = null; }}>
    <form onSubmit=${submit} autocomplete="off">
      <h2 id="sign-in-title">${t("shell.sign.in")}</h2>
      ${tokenAsked.value && html`<p>${tokenAsked.value}</p>`}
      ${none && html`<p>${t("shell.token.none")}</p>`}
      <label class="labelled">${t("shell.token")}<input class="field" name="token" type="password" autocomplete="off" spellcheck=${false} required /></label>
      <label class="labelled">${t("shell.your.name")}<input class="field" name="name" value=${identity.value.name} maxlength="64" /></label>
      <p class="dim">${t("shell.token.kept")}</p>
      <div class="buttons"><button type="button" class="button" onClick=${() => { tokenAsked.value = null; }}>${t("shell.cancel")}</button><button class="button primary">${t("shell.use.it")}</button></div>
    </form>
  </dialog>`;
}
