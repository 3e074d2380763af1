// DOM elements from data. Text always goes in as text, never as HTML.

export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) setProperty(node, name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function setProperty(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "dataset") Object.assign(node.dataset, value);
  else if (name === "class") node.className = value;
  else if (["value", "checked", "selected", "disabled", "open", "indeterminate"].includes(name)) node[name] = value;
  else node.setAttribute(name, value === true ? "" : value);
}

export function svgElement(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

export function replaceContent(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

let ids = 0;

export function freshId(prefix) {
  ids += 1;
  return `${prefix}-${ids}`;
}

export function labelled(text, control, hint = null) {
  control.id ||= freshId("field");
  const described = hint === null ? null : element("small", { class: "quiet", id: `${control.id}-hint` }, hint);
  if (described !== null) control.setAttribute("aria-describedby", described.id);
  return element("div", { class: "field" }, element("label", { for: control.id }, text), control, described);
}

export function heading(level, text, ...more) {
  return element("div", { class: "heading" }, element(`h${level}`, {}, text), ...more);
}

export function announce(text) {
  document.getElementById("announcer").textContent = text;
}
