// Colours of the style sheets, for what is not drawn by them: canvases and the map.

let probe = null;

/** A custom property as a browser would draw it now, light or dark: "rgb(…)". */
export function colourOf(name) {
  if (!probe) {
    probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** The same as numbers 0..1: [red, green, blue]. */
export function channelsOf(name) {
  return colourOf(name).match(/[\d.]+/g).slice(0, 3).map((part) => Number(part) / 255);
}

/** Calls when colours may have changed; returns what stops that. */
export function onColours(call) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", call);
  const chosen = new MutationObserver(call);
  chosen.observe(document.documentElement, { attributeFilter: ["data-scheme"] });
  return () => {
    dark.removeEventListener("change", call);
    chosen.disconnect();
  };
}
