// The rooms of the dashboard, in the order of the navigation. A room is a folder whose `room.js` has a default export; docs/dashboard.md
// says how to add one.

export const ROOMS = [
  { id: "map", icon: "map", load: () => import("../map/room.js") },
  { id: "cameras", icon: "camera", load: () => import("../cameras/room.js") },
  { id: "roads", icon: "road", load: () => import("../roads/room.js") },
  { id: "routes", icon: "route", load: () => import("../routes/room.js") },
  { id: "alerts", icon: "bell", load: () => import("../alerts/room.js") },
];

export const roomOf = (id) => ROOMS.find((room) => room.id === id) ?? ROOMS[0];
