// Icons, drawn in a square of 24 with lines of 1.8.

import { html } from "../vendor/preact.mjs";

const PATHS = {
  map: "M9 4 3 6.5v13.5L9 17.500l6 2.500 6-2.500V4l-6 2.500zM9 4v13.500M15 6.500V20",
  camera: "M3 8h11v9H3zM14 11l7-3.500v9L14 13M6 17v3M11 17v3",
  road: "M7 3 3 21M17 3l4 18M12 4v3M12 10.500v3M12 17v3",
  route: "M6 19a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM18 10a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM8.500 16.500h6a3.250 3.250 0 0 0 0-6.500h-4a3 3 0 0 1 0-6h2",
  bell: "M6 17V11a6 6 0 0 1 12 0v6l1.500 2h-15zM10 21h4",
  bus: "M5 5h14v12H5zM5 11h14M8 17v2.500M16 17v2.500M8.500 14h.01M15.500 14h.01",
  warning: "M12 4 2.500 20h19zM12 10v4.500M12 17.500h.01",
  chart: "M4 4v16h16M8 16v-5M12 16V8M16 16v-3",
  check: "M4 12.500 9.500 18 20 6.500",
  people: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c0-4 3-6 6.500-6s6.500 2 6.500 6M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500c2.200.8 3.500 2.700 3.500 5.500",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  server: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
  history: "M4 12a8 8 0 1 0 2.500-5.800M4 4v4.500h4.500M12 7.500V12l3 2",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4.500 3.500-7 8-7s8 2.500 8 7",
  close: "M6 6l12 12M18 6 6 18",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  layers: "M12 3 3 8l9 5 9-5zM3 12.500l9 5 9-5M3 17l9 5 9-5",
  table: "M4 5h16v14H4zM4 10h16M10 10v9",
  print: "M7 8V3h10v5M7 17H4V8h16v9h-3M7 14h10v7H7z",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.700-5.700l-1.500 1.500M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.700 5.700l1.500-1.500",
  pin: "M12 21s-6.500-6-6.500-11a6.500 6.500 0 0 1 13 0c0 5-6.500 11-6.500 11zM12 12.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  play: "M8 5v14l11-7z",
  pause: "M8 5v14M16 5v14",
  swap: "M7 4v15M3.500 15.500 7 19l3.500-3.500M17 20V5M13.500 8.500 17 5l3.500 3.500",
};

export function Icon({ name }) {
  return html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
