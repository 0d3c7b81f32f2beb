// Builds elements. Text always goes in as text, never as markup, so nothing that a server or a
// model's file says can become code.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

// h("button", {class: "button", onclick: go}, icon("camera"), "Take a photo")
export const h = (tag, properties, ...children) =>
  fill(document.createElement(tag), properties, children);

export const s = (tag, properties, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

export const icon = (name) =>
  s(
    "svg",
    { class: "icon", "aria-hidden": "true" },
    s("use", { href: `/assets/icons/icons.svg#${name}` }),
  );

// Puts `children` into `place`; whoever had the focus gets it back if it still exists by id.
export function replace(place, ...children) {
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.replaceChildren(...children.flat(2).filter(Boolean));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

export function note(kind, symbol, title, ...body) {
  return h(
    "div",
    { class: `note ${kind}` },
    icon(symbol),
    h("div", {}, title && h("h2", {}, title), body),
  );
}

// Says `text` to screen readers without moving the focus.
export function announce(text) {
  const place = document.getElementById("announcements");
  if (place && place.textContent !== text) place.textContent = text;
}

export function save(name, blob) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
