// What people write about an alert.

import { html } from "../vendor/preact.mjs";
import { useAnswer } from "../live/answers.js";
import { Refused, useAct } from "../components/act.js";
import { Age } from "../shell/times.js";
import { t } from "../texts/index.js";

const EVERY_MS = 10_000;

export function Comments({ id }) {
  const path = `/api/alerts/${encodeURIComponent(id)}/comments`;
  const answer = useAnswer(path, { every: EVERY_MS, all: true });
  const { act, busy, problem } = useAct();
  const written = answer.body ?? [];
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    const comment = new FormData(form).get("comment").trim();
    if (!comment || !(await act(path, { body: { comment } }, t("alerts.comment.sent")))) return;
    form.reset();
    answer.again();
  };
  return html`<h3>${t("alerts.comments")}</h3>
    ${answer.problem && html`<p class="told" role="status">${t("shell.problem", { why: answer.problem.message })}</p>`}
    ${answer.body && !written.length && html`<p class="dim">${t("alerts.comments.none")}</p>`}
    <ol class="plain comments">${written.map((one) => html`<li key=${one.id}><b>${one.commented_by}</b> <span class="dim"><${Age} iso=${one.commented_at} /></span><p class="long">${one.comment}</p></li>`)}</ol>
    <form class="comment" onSubmit=${submit}>
      <label class="labelled">${t("alerts.comment.label")}<textarea class="field" name="comment" rows="2" maxlength="2000" required></textarea></label>
      <button class="button" disabled=${busy}>${t("alerts.comment.send")}</button>
    </form>
    <${Refused} problem=${problem} />`;
}
