// The same request as curl, Python and command line, to copy.

import { announce, element, freshId } from "../elements.js";
import { currentKey } from "../api.js";

const TABS = ["curl", "Python", "Command line"];
let preferred = "curl";

// `call` is {method, path, body, python, cli, output}; `python` and `cli` are lines after the client is made.
export function commandsPanel(call, { open = false, title = "The same as curl, Python and command line" } = {}) {
  const panel = element("details", { class: "commands", open });
  panel.append(element("summary", {}, title), tabs(textsOf(call)));
  return panel;
}

export function textsOf(call) {
  return { curl: curlText(call), Python: pythonText(call), "Command line": cliText(call) };
}

function curlText({ method, path, body, output }) {
  const parts = [`curl ${method === "GET" ? "" : `-X ${method} `}'${location.origin}${path}'`];
  if (currentKey() !== null) parts.push(`-H "Authorization: Bearer $NETWRIGHT_KEY"`);
  if (output) parts.push(`-o ${output}`);
  if (body !== undefined) {
    parts.push(`-H 'Content-Type: application/json'`);
    parts.push(`-d '${JSON.stringify(body, null, 1).replaceAll("'", "'\\''")}'`);
  }
  return parts.join(" \\\n  ");
}

function pythonText({ python }) {
  const key = currentKey() === null ? "" : `, os.environ["NETWRIGHT_KEY"]`;
  const imports = key ? "import os\n\nimport netwright" : "import netwright";
  return [imports, "", `client = netwright.Client("${location.origin}"${key})`, ...[python].flat()].join("\n");
}

function cliText({ cli }) {
  const lines = [cli].flat();
  const url = location.origin === "http://127.0.0.1:8000" ? [] : [`export NETWRIGHT_URL=${location.origin}`];
  return [...url, ...lines.map((line) => `netwright ${line}`)].join("\n");
}

function tabs(texts) {
  const id = freshId("tab");
  const place = element("div", { role: "tabpanel", id: `${id}-panel`, tabindex: "0" });
  const buttons = TABS.map((name) =>
    element("button", { type: "button", role: "tab", id: `${id}-${name.replace(" ", "-")}`, "aria-controls": `${id}-panel`, onclick: () => show(name) }, name),
  );
  const show = (name) => {
    preferred = name;
    for (const button of buttons) {
      const chosen = button.textContent === name;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (chosen) place.setAttribute("aria-labelledby", button.id);
    }
    place.replaceChildren(copyable(texts[name], name));
  };
  const list = element("div", { class: "tabs", role: "tablist", "aria-label": "Language", onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const at = (TABS.indexOf(preferred) + step + TABS.length) % TABS.length;
    show(TABS[at]);
    buttons[at].focus();
  } }, buttons);
  show(preferred);
  return element("div", {}, list, place);
}

export function copyable(text, what = "text") {
  const button = element("button", { class: "button small", type: "button", "aria-label": `Copy the ${what}`, onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      announce("Copied");
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } }, "Copy");
  const code = element("code", {}, text);
  return element("div", { class: "code" }, element("pre", {}, code), button);
}

// A Python literal of JSON data.
export function pythonLiteral(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${pythonLiteral(each)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

export function shellWord(text) {
  return /^[A-Za-z0-9_./:=@,-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`;
}
