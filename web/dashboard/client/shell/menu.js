// Preferences, and who is signed in.

import { html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { identity, signIn, tokenAsked } from "../live/api.js";
import { t } from "../texts/index.js";
import { Icon } from "./icons.js";
import { clock, language, LANGUAGES, scheme, sound } from "./preferences.js";
import { say } from "./toasts.js";

function Choice({ label, chosen, options }) {
  return html`<label class="labelled">${label}
    <select class="field" value=${chosen.value} onChange=${(event) => { chosen.value = event.target.value; }}>
      ${options.map(([value, name]) => html`<option value=${value} selected=${value === chosen.value}>${name}</option>`)}
    </select>
  </label>`;
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    say(t("shell.copied"));
  } catch {
    say(location.href);
  }
}

export function Preferences() {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    const leave = (event) => { if (event.key === "Escape" || (event.type === "pointerdown" && !box.current.contains(event.target))) setOpen(false); };
    addEventListener("keydown", leave);
    addEventListener("pointerdown", leave);
    return () => { removeEventListener("keydown", leave); removeEventListener("pointerdown", leave); };
  }, [open]);
  const { token, name } = identity.value;
  const options = (key, values) => values.map((value) => [value, t(`shell.${key}.${value}`)]);
  return html`<div class="menu" ref=${box}>
    <button type="button" class="icon-button" aria-expanded=${open} aria-label=${t("shell.preferences")} title=${t("shell.preferences")} onClick=${() => setOpen(!open)}><${Icon} name="settings" /></button>
    ${open && html`<div>
      <${Choice} label=${t("shell.language")} chosen=${language} options=${Object.entries(LANGUAGES)} />
      <${Choice} label=${t("shell.scheme")} chosen=${scheme} options=${options("scheme", ["auto", "light", "dark"])} />
      <${Choice} label=${t("shell.clock")} chosen=${clock} options=${options("clock", ["city", "viewer"])} />
      <${Choice} label=${t("shell.sound")} chosen=${sound} options=${[["on", t("shell.on")], ["off", t("shell.off")]]} />
      <button type="button" class="button" onClick=${copyLink}>${t("shell.copy.link")}</button>
      ${token
        ? html`<p class="dim">${t("shell.signed.in", { name: name || "–" })}</p><button type="button" class="button" onClick=${() => signIn("", "")}>${t("shell.sign.out")}</button>`
        : html`<button type="button" class="button" onClick=${() => { tokenAsked.value = ""; setOpen(false); }}>${t("shell.sign.in")}</button>`}
    </div>`}
  </div>`;
}
