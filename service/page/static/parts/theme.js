// Light or dark: as the system has it, unless chosen here.

import { element } from "../elements.js";

const STORED = "netwright-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export function applyTheme() {
  const chosen = localStorage.getItem(STORED);
  document.documentElement.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
}

// A button that changes the theme, then calls `redraw`, as charts hold their colours.
export function themeTool(redraw) {
  const button = element("button", { class: "button small plain", type: "button" });
  const label = () => {
    const dark = document.documentElement.dataset.theme === "dark";
    button.textContent = dark ? "☀ Light" : "☾ Dark";
    button.setAttribute("aria-label", dark ? "Use light colours" : "Use dark colours");
  };
  button.addEventListener("click", () => {
    localStorage.setItem(STORED, document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    applyTheme();
    label();
    redraw();
  });
  system.addEventListener("change", () => { applyTheme(); label(); redraw(); });
  label();
  return button;
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
