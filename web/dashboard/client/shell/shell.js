// The frame around every room: head, navigation, banners, toasts.

import { Component, html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { active } from "../live/alerts.js";
import { hasFeed, settings } from "../live/settings.js";
import { health, NAMES, replayed, simulated, state } from "../live/servers.js";
import { t } from "../texts/index.js";
import { Banners } from "./banners.js";
import { Icon } from "./icons.js";
import { Preferences } from "./menu.js";
import { loadRoom, ROOMS, roomOf } from "./rooms.js";
import { linkTo, route } from "./route.js";
import { SignIn } from "./sign_in.js";
import { Clocks } from "./times.js";
import { Toasts } from "./toasts.js";

const kiosk = "kiosk" in document.documentElement.dataset;

function Head() {
  const down = health.value ? NAMES.filter((name) => !health.value[name]) : [];
  return html`<header class="head">
    <a class="name" href="#/map"><img src="/static/icon.svg" alt="" /><span>${t("shell.title")}</span></a>
    <${Clocks} />
    <span class="spread"></span>
    ${down.length > 0 && html`<span class="servers dim">${down.map((name) => t("shell.server.down", { name })).join(", ")}</span>`}
    ${simulated.value && html`<span class="badge simulated" title=${t("shell.simulated.long")}>${t("shell.simulated")}</span>`}
    ${replayed.value === null ? html`<span class="badge" role="status" data-state=${state.value}>${t(`shell.state.${state.value}`)}</span>` : html`<span class="badge" role="status" data-state="replay">${t("shell.state.replay")}</span>`}
    <${Preferences} />
  </header>`;
}

function Navigation() {
  const here = roomOf(route.value.room).id;
  const shown = ROOMS.filter((room) => !room.feed || hasFeed(room.feed));
  const open = active.value.length;
  return html`<nav class="nav" aria-label=${t("shell.rooms")}>
    ${shown.map((room) => html`<a key=${room.id} href=${linkTo(room.id)} aria-current=${room.id === here ? "page" : undefined} title=${t(`shell.room.${room.id}`)}>
      <${Icon} name=${room.icon} /><span>${t(`shell.room.${room.id}`)}</span>
      ${room.id === "alerts" && open > 0 && html`<span class="count">${open}</span>`}
    </a>`)}
    <div class="foot"><a href="/docs">${t("shell.api")}</a> · trafficapp ${settings.value?.version ?? ""}</div>
  </nav>`;
}

/** A room that fails says so, and leaves the others alone. */
class Guarded extends Component {
  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  render({ children }, { error }) {
    if (!error) return children;
    return html`<div class="room-body"><p role="alert">${t("shell.room.failed", { why: error.message })}</p>
      <p><button class="button" type="button" onClick=${() => this.setState({ error: null })}>${t("shell.again")}</button></p></div>`;
  }
}

function useRoom(room) {
  const [loaded, setLoaded] = useState({ id: null });
  useEffect(() => {
    if (room.module) return undefined;
    let wanted = true;
    loadRoom(room).then(() => wanted && setLoaded({ id: room.id }), (error) => wanted && setLoaded({ id: room.id, error }));
    return () => { wanted = false; };
  }, [room]);
  if (room.module) return { Room: room.module.default };
  return loaded.id === room.id ? loaded : {};
}

function RoomPlace() {
  const room = roomOf(route.value.room);
  const { Room, error } = useRoom(room);
  const place = useRef(null);
  const before = useRef(room.id);
  useEffect(() => {
    document.title = `${t(`shell.room.${room.id}`)} · ${t("shell.title")}`;
    // who uses a keyboard or listens must not stay in the navigation of another room
    if (before.current !== room.id) place.current?.focus({ preventScroll: true });
    before.current = room.id;
  }, [room.id]);
  let body = html`<p class="room-body dim" role="status">${t("shell.loading")}</p>`;
  if (error) body = html`<p class="room-body" role="alert">${t("shell.room.failed", { why: error.message })}</p>`;
  else if (Room) body = html`<${Guarded} key=${room.id}><${Room} params=${route.value.params} kiosk=${kiosk} /><//>`;
  return html`<main id="room" class="room" tabindex="-1" ref=${place} data-room=${room.id}><${Banners} />${body}</main>`;
}

export function Shell() {
  return html`<div class="shell">
    <a class="skip" href="#room" onClick=${(event) => { event.preventDefault(); document.getElementById("room").focus(); }}>${t("shell.skip")}</a>
    <${Head} /><${Navigation} /><${RoomPlace} /><${Toasts} /><${SignIn} />
  </div>`;
}
