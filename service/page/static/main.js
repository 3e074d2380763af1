// Which view is shown: the part of the address after # names it, and holds what is selected in it.

import { Problem, get } from "./api.js";
import { element, replaceContent } from "./elements.js";
import { loadMetrics } from "./metrics.js";
import { problemNote } from "./parts/problem_note.js";
import { keyTool, signInPanel } from "./parts/sign_in.js";
import { applyTheme, themeTool } from "./parts/theme.js";

const VIEWS = [
  [/^\/$/, "start_view"],
  [/^\/searches$/, "searches_view"],
  [/^\/searches\/new$/, "new_search_view"],
  [/^\/searches\/([\w-]+)$/, "search_view"],
  [/^\/subnets\/([\w-]+)$/, "subnet_view"],
  [/^\/supernets\/([\w-]+)$/, "supernet_view"],
  [/^\/targets\/([\w-]+)$/, "target_view"],
  [/^\/predictors\/([\w-]+)$/, "predictor_view"],
  [/^\/jobs$/, "jobs_view"],
  [/^\/jobs\/([\w-]+)$/, "job_view"],
  [/^\/trainings\/new$/, "new_training_view"],
  [/^\/compare$/, "compare_view"],
];

const main = document.getElementById("main");
let shown = new AbortController();

function address() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  return { path: path || "/", query: new URLSearchParams(query) };
}

// Puts what is selected into the address without drawing again; null removes a name.
function setQuery(changes) {
  const { path, query } = address();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(null, "", `#${path}${text ? `?${text}` : ""}`);
}

// The module of a view. Where it cannot be loaded, a request whose error says more gives the reason.
async function load(name) {
  try {
    return await import(`./views/${name}.js`);
  } catch (error) {
    await get("/healthz");
    throw error;
  }
}

async function show() {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const { path, query } = address();
  markNavigation(path);
  const found = VIEWS.map(([pattern, name]) => [pattern.exec(path), name]).find(([match]) => match !== null);
  if (found === undefined) {
    replaceContent(main, element("h1", {}, "Not found"), element("p", {}, "There is no page at this address. ", element("a", { href: "#/" }, "Start")));
    return;
  }
  const [match, name] = found;
  main.setAttribute("aria-busy", "true");
  try {
    const [view] = await Promise.all([load(name), loadMetrics()]);
    const content = await view.draw({ id: match[1], query, signal, setQuery, redraw: show });
    if (signal.aborted) return;
    replaceContent(main, content);
    document.title = `${main.querySelector("h1")?.textContent ?? "Netwright"} · Netwright`;
    main.dispatchEvent(new CustomEvent("drawn"));
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    showFailure(error);
  } finally {
    if (!signal.aborted) main.removeAttribute("aria-busy");
  }
}

// Reloads the page once the service answers: a browser may keep a module that could not be loaded.
async function again() {
  try {
    await get("/healthz");
    location.reload();
  } catch (error) {
    showFailure(error);
  }
}

function showFailure(error) {
  const keyed = error instanceof Problem && [401, 403].includes(error.body.status);
  replaceContent(
    main,
    element("h1", {}, keyed ? "Sign in" : "This cannot be shown"),
    problemNote(error),
    keyed && signInPanel(show),
    !keyed && element("p", {}, element("button", { class: "button", type: "button", onclick: again }, "Try again")),
  );
}

function markNavigation(path) {
  for (const link of document.querySelectorAll("#navigation a")) {
    if (link.getAttribute("href") === `#${path}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function drawBar() {
  document.getElementById("tools").append(keyTool(show), themeTool(show));
  document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
}

applyTheme();
drawBar();
window.addEventListener("hashchange", () => { show().then(() => window.scrollTo(0, 0)); });
show();
