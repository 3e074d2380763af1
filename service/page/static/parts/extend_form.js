// Going on from a search that has ended: more evaluations, or another limit.

import { post } from "../api.js";
import { element, heading, labelled } from "../elements.js";
import { fromShown, metricLabel, shownUnit, toShown } from "../metrics.js";
import { commandsPanel } from "./commands.js";
import { guarded } from "./problem_note.js";
import { extendRequest } from "./request_texts.js";

const MORE = 24;

export function extendForm(search, names) {
  const evaluations = element("input", { type: "number", min: "0", max: "10000", step: "1", value: MORE });
  const limits = search.constraints.map((limit) => limitInput(limit, names));
  const place = element("div");
  const commands = element("div");
  const button = element("button", { class: "button", type: "submit" }, "Extend");
  const body = () => {
    const changed = limits.some((limit) => limit.changed());
    return { evaluations: evaluations.valueAsNumber || 0, ...(changed ? { constraints: limits.map((limit) => limit.value()) } : {}) };
  };
  const say = () => commands.replaceChildren(commandsPanel(extendRequest(search.id, body(), names)));
  const form = element(
    "form",
    { class: "panel stack", oninput: say },
    heading(2, "Go on from here"),
    element("p", { class: "quiet" }, "Nothing is evaluated or measured again. With 0 evaluations, what is known is judged by the new limits."),
    element("div", { class: "fields" }, labelled("Evaluations to add", evaluations), limits.map((limit) => limit.node), button),
    place,
    commands,
  );
  form.addEventListener("submit", guarded(button, place, async () => {
    const answer = await post(`/v1/searches/${search.id}:extend`, body());
    location.hash = `#/searches/${answer.id}`;
  }));
  say();
  return form;
}

function limitInput(limit, names) {
  const bound = limit.max !== null ? "max" : "min";
  const first = String(Number(toShown(limit.metric, limit[bound]).toPrecision(6)));
  const input = element("input", { type: "number", step: "any", min: "0", value: first });
  const unit = shownUnit(limit.metric);
  const on = limit.target ? ` on ${names.target(limit.target)}` : "";
  return {
    node: labelled(`${metricLabel(limit.metric)}${on} at ${bound === "max" ? "most" : "least"}${unit ? ` (${unit})` : ""}`, input),
    changed: () => input.value !== first,
    value: () => ({ ...limit, [bound]: input.value === first ? limit[bound] : fromShown(limit.metric, input.valueAsNumber) }),
  };
}
