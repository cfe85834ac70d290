// Small tools for what is on a page, shared by all pages.

const SVG = "http://www.w3.org/2000/svg";

export const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
export const dayAndTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const $ = (id) => document.getElementById(id);

export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function drawing(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function agoText(at, now = Date.now()) {
  const seconds = Math.max(0, now - at) / 1000;
  if (seconds < 100) return `${Math.round(seconds)} s ago`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : dayAndTime.format(at);
}
