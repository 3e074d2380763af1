// The state of a job as a coloured word.

import { element } from "../elements.js";

const TONES = { succeeded: "good", failed: "bad", cancelled: "warn", cancelling: "warn", running: "busy", queued: "" };

export function statePill(state) {
  return element("span", { class: `pill ${TONES[state] ?? ""}`, dataset: { state } }, state);
}
