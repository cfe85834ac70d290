// The rooms of the dashboard, in the order of the navigation. A room is a folder whose `room.js` has a default export; docs/dashboard.md
// says how to add one.

export const ROOMS = [
  { id: "map", icon: "map", load: () => import("../map/room.js") },
  { id: "cameras", icon: "camera", load: () => import("../cameras/room.js") },
  { id: "roads", icon: "road", load: () => import("../roads/room.js") },
  { id: "routes", icon: "route", load: () => import("../routes/room.js") },
  { id: "alerts", icon: "bell", load: () => import("../alerts/room.js") },
  { id: "transit", icon: "bus", feed: "live-vehicles", load: () => import("../transit/room.js") },
  { id: "incidents", icon: "warning", feed: "incidents", load: () => import("../incidents/room.js") },
  { id: "analytics", icon: "chart", load: () => import("../analytics/room.js") },
  { id: "history", icon: "history", load: () => import("../history/room.js") },
  { id: "quality", icon: "check", load: () => import("../quality/room.js") },
  { id: "administration", icon: "people", load: () => import("../administration/room.js") },
  { id: "system", icon: "server", load: () => import("../system/room.js") },
];

/** The module of a room, kept once it is there: a room that was seen before, or that came with the page, is drawn at once. */
export async function loadRoom(room) {
  room.module ??= await room.load();
  return room.module;
}

export const roomOf = (id) => ROOMS.find((room) => room.id === id) ?? ROOMS[0];
