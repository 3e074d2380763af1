// Signing in with an API key. It is kept in this tab's session only and leaves it in a request header only.

import { currentKey, setKey } from "../api.js";
import { element, labelled } from "../elements.js";

export function keyTool(redraw) {
  const button = element("button", { class: "button small plain", type: "button" });
  const label = () => { button.textContent = currentKey() === null ? "Sign in" : "Sign out"; };
  button.addEventListener("click", () => {
    if (currentKey() !== null) {
      setKey(null);
      label();
      redraw();
      return;
    }
    const dialog = element("dialog", { "aria-label": "Sign in" });
    dialog.append(element("h2", {}, "Sign in"), signInPanel(() => { dialog.close(); label(); redraw(); }));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  });
  document.addEventListener("netwright-key", label);
  label();
  return button;
}

export function signInPanel(onSignedIn) {
  const input = element("input", { type: "password", autocomplete: "off", spellcheck: "false", placeholder: "nw_…", required: true });
  return element(
    "form",
    { class: "stack", onsubmit: (event) => {
      event.preventDefault();
      setKey(input.value.trim());
      document.dispatchEvent(new CustomEvent("netwright-key"));
      onSignedIn();
    } },
    element("p", { class: "quiet" }, "A key is needed once the service has one. ", element("code", {}, "netwright keys create NAME --scope write"), " on the server makes one."),
    labelled("API key", input, "Kept in this tab until it is closed."),
    element("div", { class: "actions" }, element("button", { class: "button main", type: "submit" }, "Sign in")),
  );
}
