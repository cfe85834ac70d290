// Answers that are asked for again and again, once for all panels that show them: later and later while nothing comes, and not while
// nobody looks.

import { effect, signal, useLayoutEffect, useMemo } from "../vendor/preact.mjs";
import { ask, askAll, identity, Problem } from "./api.js";
import { fetchThere } from "./background.js";
import { inTurn } from "./turns.js";

const SLOWEST_MS = 60_000;
const KEPT_MS = 20_000;
const RETRY_MS = 5000;
/** Each question has its own slot in this time: what is asked at the same moment is taken up at the same moment, and the page stands for it. */
const ROUND_MS = 5000;
/** The golden section: however many there are, their slots lie apart. */
const APART = 0.618034;
const shared = new Map();
let made = 0;

/** Until a question's next slot: half of `everyMs` to one and a half. */
function untilSlot(everyMs, slotMs) {
  const left = everyMs - ((Date.now() - slotMs) % everyMs);
  return left < everyMs / 2 ? left + everyMs : left;
}

/** A question; `answer.value` is `{body, at, problem}`: body null before the first answer, at its time (ms), problem of the last try or null. */
export class Question {
  /** @param question gets whether the answer is urgent. */
  constructor(question, everyMs) {
    Object.assign(this, { question, everyMs, pauseMs: everyMs, users: 0, turn: 0, unwatch: null, slotMs: ROUND_MS * ((made++ * APART) % 1) });
    this.answer = signal({ body: null, at: null, problem: null });
    this.look = () => { if (!document.hidden) this.now(); };
  }

  start() {
    clearTimeout(this.leaving);
    if (this.users++ || this.unwatch) return;
    document.addEventListener("visibilitychange", this.look);
    this.unwatch = effect(() => {
      identity.value;
      queueMicrotask(() => this.now());
    });
  }

  /** It is kept a while: another panel may ask the same. */
  stop() {
    if (--this.users) return;
    this.leaving = setTimeout(() => {
      document.removeEventListener("visibilitychange", this.look);
      this.unwatch();
      this.unwatch = null;
      this.turn++;
      clearTimeout(this.next);
      this.left?.();
    }, KEPT_MS);
  }

  /** @param isUrgent whether somebody waits for it; the answer to a question that is only repeated may come with others. */
  async now(isUrgent = true) {
    clearTimeout(this.next);
    const turn = ++this.turn;
    let problem = null;
    let body;
    try {
      body = await this.question(isUrgent || this.answer.peek().body === null);
    } catch (error) {
      problem = error instanceof Problem ? error : new Problem(0, error.message);
    }
    if (turn !== this.turn) return;
    this.pauseMs = problem ? Math.min(this.pauseMs * 1.5, Math.max(SLOWEST_MS, this.everyMs)) : this.everyMs;
    // who watches the answer may have it asked sooner
    this.answer.value = problem ? { ...this.answer.peek(), problem } : { body, at: Date.now(), problem: null };
    // who refuses says when to come again; what was refused together does not come together again
    const turnMs = problem?.retryMs && problem.retryMs * (0.8 + 0.4 * Math.random());
    const pauseMs = turnMs || (this.pauseMs === this.everyMs ? untilSlot(this.everyMs, this.slotMs) : this.pauseMs);
    if (Number.isFinite(pauseMs)) this.next = setTimeout(() => { if (!document.hidden) this.now(false); }, pauseMs);
    else if (problem) this.next = setTimeout(() => this.now(), RETRY_MS);
  }
}

/** The question for a path, the same one for all who ask it. `every` in ms, Infinity: once; `costly` ones come one after the other. */
export function questionFor(path, { every = 5000, all = false, costly = false, timeoutMs } = {}) {
  const key = `${all} ${every} ${path}`;
  let found = shared.get(key);
  if (!found) {
    const question = (isUrgent) => (all ? askAll : ask)(path, { timeoutMs, isUrgent, asker: fetchThere });
    found = new Question(costly ? (isUrgent) => inTurn(() => question(isUrgent)) : question, every);
    found.left = () => shared.delete(key);
    shared.set(key, found);
  }
  return found;
}

/** In a component: the answer for a path, asked for as long as it is shown; with path null nothing is asked. */
export function useAnswer(path, options = {}) {
  const question = useMemo(() => (path === null ? null : questionFor(path, options)), [path]);
  // not after the next frame, as other effects: the answer takes longer than that
  useLayoutEffect(() => {
    question?.start();
    return () => question?.stop();
  }, [question]);
  const again = () => question?.now();
  return question ? { ...question.answer.value, again } : { body: null, at: null, problem: null, again };
}
