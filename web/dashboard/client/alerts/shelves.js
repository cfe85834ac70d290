// Shelves: what operators are not told of for a while, by whom and why; shelving an alert, and taking it off again.

import { html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { identity } from "../live/api.js";
import { askForAll } from "../live/alerts.js";
import { useAnswer } from "../live/answers.js";
import { Refused, Sure, useAct } from "../components/act.js";
import { number } from "../components/numbers.js";
import { Panel } from "../components/panel.js";
import { Moment } from "../shell/times.js";
import { t } from "../texts/index.js";
import { ruleWord } from "./load.js";

const PATH = "/api/alarms/shelves";
const MINUTES = [15, 30, 60, 120, 240, 480, 1440];

const minutesText = (minutes) => (minutes < 60 ? t("alerts.shelf.minutes", { n: number(minutes) }) : t("alerts.shelf.hours", { n: number(minutes / 60) }));

/** Why an alarm is not told, in a few words; nothing when it is. */
export const withheldText = (withheld) => (withheld ? t(`alerts.withheld.${withheld.how}`) : "");

export function WithheldNote({ withheld }) {
  if (!withheld) return null;
  return html`<p class="withheld"><span class="badge" data-state="standing">${withheldText(withheld)}</span> ${withheld.reason}
    ${withheld.until && html` <span class="dim">${t("alerts.shelf.until")} <${Moment} iso=${withheld.until} seconds=${false} /></span>`}</p>`;
}

function whatOf(shelf) {
  if (shelf.alert_id) return t("alerts.shelf.one", { id: shelf.alert_id.slice(0, 8) });
  return `${ruleWord(shelf.rule)} · ${t(`alerts.shelf.${shelf.source_kind}`)} ${shelf.source}`;
}

/** Asks how long and why; `onDone` is called when it is shelved or left. */
export function ShelveDialog({ alert, onDone }) {
  const dialog = useRef(null);
  const [kind, setKind] = useState("timed");
  const { act, busy, problem } = useAct();
  useEffect(() => { dialog.current.showModal(); }, []);
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    const what = given.what === "rule" ? { rule: alert.alert_type, source_kind: "camera", source: alert.camera_id } : { alert_id: alert.id };
    const { name } = identity.peek();
    const body = { ...what, kind, minutes: Number(given.minutes), reason: given.reason.trim(), ...(name ? { admin_id: name } : {}) };
    if (await act(PATH, { body }, t("alerts.shelf.done"))) {
      askForAll();
      onDone(true);
    }
  };
  return html`<dialog ref=${dialog} aria-labelledby="shelve-title" onClose=${() => onDone(false)}>
    <form onSubmit=${submit} autocomplete="off">
      <h2 id="shelve-title">${t("alerts.shelve.title")}</h2>
      <p class="dim">${t("alerts.shelve.what")}</p>
      <label class="labelled">${t("alerts.shelve.which")}<select class="field" name="what">
        <option value="alert">${t("alerts.shelve.this")}</option>
        ${alert.camera_id && html`<option value="rule">${t("alerts.shelve.rule", { rule: ruleWord(alert.alert_type), camera: alert.camera_id })}</option>`}
      </select></label>
      <label class="labelled">${t("alerts.shelve.kind")}<select class="field" value=${kind} onChange=${(event) => setKind(event.target.value)}>
        <option value="timed">${t("alerts.shelve.timed")}</option><option value="one_shot">${t("alerts.shelve.one_shot")}</option>
      </select></label>
      <label class="labelled">${t(kind === "timed" ? "alerts.shelve.for" : "alerts.shelve.most")}<select class="field" name="minutes">
        ${MINUTES.map((minutes) => html`<option value=${minutes} selected=${minutes === 60}>${minutesText(minutes)}</option>`)}
      </select></label>
      <label class="labelled">${t("alerts.shelve.reason")}<input class="field" name="reason" required maxlength="500" pattern=".*[^ ].*" /></label>
      <${Refused} problem=${problem} />
      <div class="buttons"><button type="button" class="button" onClick=${() => dialog.current.close()}>${t("shell.cancel")}</button><button class="button primary" disabled=${busy}>${t("alerts.shelve")}</button></div>
    </form>
  </dialog>`;
}

function Shelf({ shelf, again }) {
  const { act, busy, problem } = useAct();
  const release = async () => {
    if (await act(`${PATH}/${shelf.id}`, { method: "DELETE" }, t("alerts.shelf.released"))) {
      again();
      askForAll();
    }
  };
  return html`<li class="shelf">
    <div class="grow"><b>${whatOf(shelf)}</b>
      <p>${shelf.reason}</p>
      <p class="dim">${t("alerts.shelf.by", { name: shelf.shelved_by })} <${Moment} iso=${shelf.shelved_at} seconds=${false} />${shelf.caller !== shelf.shelved_by && html` (${shelf.caller})`} ·
        ${" "}${shelf.ended_at
          ? html`${t(`alerts.shelf.ended.${shelf.ended_because}`, { name: shelf.ended_by ?? "" })} <${Moment} iso=${shelf.ended_at} seconds=${false} />`
          : html`${t(shelf.kind === "one_shot" ? "alerts.shelf.once.until" : "alerts.shelf.until")} <${Moment} iso=${shelf.expires_at} seconds=${false} />`}</p>
      <${Refused} problem=${problem} /></div>
    ${!shelf.ended_at && html`<${Sure} disabled=${busy} onSure=${release}>${t("alerts.shelf.release")}<//>`}
  </li>`;
}

export function Shelves() {
  const inForce = useAnswer(PATH, { every: 10_000 });
  const all = useAnswer(`${PATH}?ended=true&limit=100`, { every: 30_000 });
  const ended = (all.body ?? []).filter(({ ended_at }) => ended_at);
  const again = () => { inForce.again(); all.again(); };
  return html`<div class="stack">
    <${Panel} title=${t("alerts.shelves")} of=${inForce.body?.length || ""} answer=${inForce} empty=${inForce.body && !inForce.body.length && t("alerts.shelves.none")}>
      <ul class="plain shelves">${(inForce.body ?? []).map((shelf) => html`<${Shelf} key=${shelf.id} shelf=${shelf} again=${again} />`)}</ul>
    <//>
    <${Panel} title=${t("alerts.shelves.ended")} of=${ended.length || ""} answer=${all} empty=${all.body && !ended.length && t("alerts.shelves.ended.none")}>
      <ul class="plain shelves">${ended.map((shelf) => html`<${Shelf} key=${shelf.id} shelf=${shelf} again=${again} />`)}</ul>
    <//>
  </div>`;
}
