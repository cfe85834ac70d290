// WebSockets that come back by themselves, and what is known of them: the shell says when one is not there.

import { effect, signal } from "../vendor/preact.mjs";
import { identity } from "./api.js";

/** States of the sockets that are open: name → "waiting" | "live" | "lost". */
export const sockets = signal({});

export class Connection {
  /**
   * @param name what people are told when it is lost.
   * @param path called at each opening: an address may say from where on to resume.
   * @param onMessage gets the decoded JSON.
   * @param makeSocket instead of a WebSocket of this thread, whose messages it then does not see.
   * @param silentMs after so long without a word it is taken for dead; Infinity for those that may be silent.
   */
  constructor(name, path, onMessage, { silentMs = 12_000, makeSocket = (address, protocols) => new WebSocket(address, protocols) } = {}) {
    Object.assign(this, { name, path, onMessage, silentMs, makeSocket, pause: 500, stopped: false, state: null });
    let first = true;
    this.unwatch = effect(() => {
      identity.value;
      if (first) first = false;
      else this.again();
    });
    this.wake = () => { if (!document.hidden && this.state === "lost") this.again(); };
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("online", this.wake);
    this.say("waiting");
    this.open();
  }

  say(state) {
    if (this.state === state) return;
    this.state = state;
    sockets.value = { ...sockets.peek(), [this.name]: state };
  }

  open() {
    clearTimeout(this.retry);
    const { token } = identity.peek();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = this.makeSocket(`${scheme}//${location.host}${this.path()}`, token ? ["bearer", token] : []);
    this.socket.onopen = () => { if (this.silentMs === Infinity) this.say("live"); };
    this.socket.onmessage = ({ data }) => {
      this.pause = 500;
      this.say("live");
      this.listen();
      this.onMessage?.(JSON.parse(data));
    };
    this.socket.onclose = () => {
      clearTimeout(this.silence);
      if (this.stopped) return;
      this.say("lost");
      clearTimeout(this.retry);
      this.retry = setTimeout(() => this.open(), this.pause * (0.7 + Math.random() * 0.6));
      this.pause = Math.min(this.pause * 2, 10_000);
    };
    this.listen();
  }

  listen() {
    clearTimeout(this.silence);
    if (this.silentMs !== Infinity) this.silence = setTimeout(() => this.drop(), this.silentMs);
  }

  again() {
    if (this.stopped) return;
    this.pause = 500;
    this.drop();
  }

  drop() {
    // a dead network never answers the close, so do not wait for it
    const { socket } = this;
    const { onclose } = socket;
    Object.assign(socket, { onopen: null, onmessage: null, onclose: null });
    socket.close();
    if (onclose) onclose();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.retry);
    clearTimeout(this.silence);
    this.unwatch();
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.wake);
    Object.assign(this.socket, { onopen: null, onmessage: null, onclose: null });
    this.socket.close();
    const { [this.name]: _, ...others } = sockets.peek();
    sockets.value = others;
  }
}

/** A source that runs while somebody uses it: `start` makes its connections and gives what ends them. */
export class Shared {
  constructor(start) {
    Object.assign(this, { begin: start, users: 0, end: null });
  }

  /** Returns what must be called when it is not used any more. */
  use() {
    clearTimeout(this.leaving);
    this.users++;
    this.end ??= this.begin();
    return () => {
      if (--this.users) return;
      // another room may want it at once
      this.leaving = setTimeout(() => {
        this.end();
        this.end = null;
      }, 3000);
    };
  }
}
