// Before anything is drawn: the chosen colours, and whether this is a wall.
(() => {
  let scheme = "auto";
  try {
    scheme = localStorage.getItem("trafficapp-scheme") ?? "auto";
  } catch {
    // a browser that keeps nothing has the colours of the system
  }
  if (scheme === "light" || scheme === "dark") document.documentElement.dataset.scheme = scheme;
  if (new URLSearchParams(location.search).has("kiosk")) document.documentElement.dataset.kiosk = "";
})();
