// Administration: what is set for everybody. Who has no administrator's token reads here what one is for.

import { html } from "../vendor/preact.mjs";
import { identity, signIn, tokenAsked } from "../live/api.js";
import { useAnswer } from "../live/answers.js";
import { settings } from "../live/settings.js";
import { Facts, Panel } from "../components/panel.js";
import { partOf, Parts } from "../components/parts.js";
import { Moment } from "../shell/times.js";
import { t } from "../texts/index.js";
import { Audit } from "./audit.js";
import { Broadcast } from "./broadcast.js";
import { Cameras } from "./cameras.js";
import { Models } from "./models.js";
import { Thresholds } from "./thresholds.js";
import { Zones } from "./zones.js";

const PARTS = { thresholds: Thresholds, zones: Zones, cameras: Cameras, models: Models, broadcast: Broadcast, audit: Audit };

export default function Administration({ params }) {
  const caller = useAnswer("/api/caller", { every: 60_000 });
  const parts = Object.keys(PARTS).map((id) => [id, t(`administration.part.${id}`)]);
  const shown = partOf(parts, params.part);
  const Part = PARTS[shown];
  const may = caller.body?.role === "admin";
  return html`<div class="room-body">
    <div class="room-title"><h1>${t("shell.room.administration")}</h1>${may && html`<${SignedIn} caller=${caller.body} />`}</div>
    ${may ? html`<${Parts} room="administration" label=${t("shell.room.administration")} parts=${parts} shown=${shown} /><${Part} key=${shown} params=${params} />`
      : html`<${Who} caller=${caller} />`}
  </div>`;
}

function SignedIn({ caller }) {
  return html`<span class="dim">${t("administration.signed.in", { name: caller.name, role: t(`administration.role.${caller.role}`) })}${caller.expires_at && html`, ${t("administration.until")} <${Moment} iso=${caller.expires_at} seconds=${false} />`}
    ${" "}<button type="button" class="link" onClick=${() => signIn("", "")}>${t("shell.sign.out")}</button></span>`;
}

/** Who asks, when that one may not administer. */
function Who({ caller }) {
  const { body } = caller;
  const none = settings.value && !settings.value.tokens_exist;
  return html`<${Panel} title=${t("administration.who")} answer=${caller}>${body && html`
    <${Facts} entries=${[
      [t("administration.name"), body.name || t("administration.nobody")],
      [t("administration.role"), html`<b>${t(`administration.role.${body.role}`)}</b>`],
      body.expires_at && [t("administration.until"), html`<${Moment} iso=${body.expires_at} />`],
    ]} />
    <p class="by">${t(none ? "shell.token.none" : "administration.needs.admin")}</p>
    <p class="tools actions">
      <button type="button" class="button primary" onClick=${() => { tokenAsked.value = t("administration.sign.in"); }}>${t("shell.sign.in")}</button>
      ${identity.value.token && html`<button type="button" class="button" onClick=${() => signIn("", "")}>${t("shell.sign.out")}</button>`}
    </p>
    <${Roles} />`}<//>`;
}

function Roles() {
  return html`<div class="sideways" tabindex="0" role="region" aria-label=${t("administration.roles")}><table><caption>${t("administration.roles")}</caption><thead><tr><th scope="col">${t("administration.role")}</th><th scope="col">${t("administration.may")}</th></tr></thead>
    <tbody>${["viewer", "operator", "admin"].map((role) => html`<tr><th scope="row">${t(`administration.role.${role}`)}</th><td>${t(`administration.may.${role}`)}</td></tr>`)}</tbody></table></div>`;
}
