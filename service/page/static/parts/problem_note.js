// An error of the API in its own words, with the requests that it says would help.

import { Problem, post } from "../api.js";
import { announce, element } from "../elements.js";

export function problemNote(error, { onAction = null } = {}) {
  if (!(error instanceof Problem)) {
    console.error(error);
    return element("div", { class: "problem", role: "alert" }, element("p", {}, `The page failed: ${error.message}`));
  }
  const { body } = error;
  announce(body.detail);
  return element(
    "div",
    { class: "problem", role: "alert", dataset: { code: body.code } },
    element("p", {}, element("b", {}, body.title || "Refused"), ` · ${body.detail}`),
    fieldList(body.errors ?? [], body.detail),
    (body.actions ?? []).length > 0 && actionList(body.actions, onAction),
    element("p", { class: "quiet" }, element("small", {}, `${body.status || ""} ${body.code}`.trim())),
  );
}

function fieldList(errors, detail) {
  const told = errors.filter((each) => !(detail.includes(each.field) && detail.includes(String(each.allowed))));
  if (told.length === 0) return null;
  return element(
    "ul",
    {},
    told.map((each) =>
      element("li", {}, element("code", {}, each.field), `: got ${JSON.stringify(each.got)}, allowed: ${wordsOf(each.allowed)}`),
    ),
  );
}

function wordsOf(allowed) {
  if (Array.isArray(allowed)) return allowed.join(", ");
  return typeof allowed === "string" ? allowed : JSON.stringify(allowed);
}

export function actionList(actions, onAction) {
  return element(
    "div",
    { class: "actions" },
    actions.map((action) => actionButton(action, onAction)),
  );
}

// A button that sends a request the API named, then calls `onAction(answer)`.
function actionButton(action, onAction) {
  const text = `${action.method} ${action.path}`;
  if (action.method === "GET") return element("code", {}, text);
  const place = element("div");
  const button = element(
    "button",
    {
      class: "button small",
      type: "button",
      title: JSON.stringify(action.body),
      onclick: async () => {
        button.disabled = true;
        try {
          const answer = await post(action.path, action.body);
          if (onAction !== null) onAction(answer, action);
          else location.hash = `#/jobs/${answer.job?.id ?? answer.id}`;
        } catch (error) {
          place.replaceChildren(problemNote(error, { onAction }));
          button.disabled = false;
        }
      },
    },
    text,
  );
  return element("div", {}, button, place);
}

// Runs `work`; while it runs the button is off, and what goes wrong is shown in `place`.
export function guarded(button, place, work) {
  return async (event) => {
    event?.preventDefault();
    button.disabled = true;
    place.replaceChildren();
    try {
      await work();
    } catch (error) {
      place.replaceChildren(problemNote(error));
    } finally {
      button.disabled = false;
    }
  };
}
