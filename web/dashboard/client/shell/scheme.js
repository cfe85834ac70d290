// Before anything is drawn: the chosen colours, what kind of room opens, and whether this is a wall.
(() => {
  let scheme = "auto";
  try {
    scheme = localStorage.getItem("trafficapp-scheme") ?? "auto";
  } catch {
    // a browser that keeps nothing has the colours of the system
  }
  if (scheme === "light" || scheme === "dark") document.documentElement.dataset.scheme = scheme;
  // which of the outlines in the page is seen until the room is there
  if (location.pathname !== "/" || !/^#?\/?(map\b|$)/.test(location.hash)) document.documentElement.dataset.opens = "other";
  if (new URLSearchParams(location.search).has("kiosk")) document.documentElement.dataset.kiosk = "";
})();
