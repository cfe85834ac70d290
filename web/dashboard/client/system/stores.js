// What a store holds, and what takes most of it.

import { html } from "../vendor/preact.mjs";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { t } from "../texts/index.js";

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes as people say them, in steps of a thousand: "129 MB". */
export function bytesText(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const step = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** step;
  return `${number(value, value < 10 && step ? 1 : 0)} ${UNITS[step]}`;
}

export function Store({ name, answer, store }) {
  const parts = Object.entries(store?.largest ?? {});
  const most = Math.max(1, ...parts.map(([, bytes]) => bytes));
  return html`<${Panel} title=${name} of=${store ? (store.bytes === null ? t("system.store.away") : bytesText(store.bytes)) : ""} answer=${answer}>
    ${store && (parts.length === 0 ? html`<p class="dim">${t(store.bytes === null ? "system.store.away" : "system.store.whole")}</p>` : html`<table><caption>${t("system.largest")}</caption><tbody>${parts.map(([part, bytes]) => html`<tr key=${part}><th scope="row">${part}</th>
      <td><span class="counted"><span class="bar"><i style=${{ width: `${(100 * bytes) / most}%`, "--fill": "var(--flow-free)" }}></i></span></span></td><td class="number">${bytesText(bytes)}</td></tr>`)}</tbody></table>`)}<//>`;
}
