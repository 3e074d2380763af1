// A search: watch it run, see its front, pick a point, take the file.

import { get } from "../api.js";
import { frontChart } from "../charts/front_chart.js";
import { metricsOf } from "../charts/front_values.js";
import { historyChart } from "../charts/history_chart.js";
import { legend } from "../charts/plotly.js";
import { download, save } from "../download.js";
import { element, heading, labelled, replaceContent } from "../elements.js";
import { isFinal } from "../events.js";
import { capital, metricLabel, moment, number, percent } from "../metrics.js";
import { loadNames, supernetLink, targetLink } from "../names.js";
import { commandsPanel } from "../parts/commands.js";
import { extendForm } from "../parts/extend_form.js";
import { frontTable } from "../parts/front_table.js";
import { jobPanel } from "../parts/job_progress.js";
import { originalNote } from "../parts/original_note.js";
import { overlayPicker } from "../parts/overlay_picker.js";
import { pointPanel } from "../parts/point_panel.js";
import { guarded } from "../parts/problem_note.js";
import { frontRequest } from "../parts/request_texts.js";
import { statePill } from "../parts/state_pill.js";
import { limitWords } from "./searches_view.js";

// Of the 2,000 marks a chart may have: two for each point of the front, one for each evaluated subnet, the rest overlays.
const MOST_POINTS = 400;
const MOST_EVALUATED = 700;
const MOST_OVERLAID = 120;
const REFRESH_EVERY = 1500;

export async function draw({ id, query, signal, setQuery, redraw }) {
  const [names, search] = await Promise.all([loadNames({ signal }), get(`/v1/searches/${id}`, {}, { signal })]);
  const job = await get(`/v1/jobs/${search.job}`, {}, { signal });
  const scene = newScene(search, query, names);
  const overlays = (query.get("overlay") ?? "").split(",").filter(Boolean);
  const parts = { chart: null, table: null, side: element("div"), tablePlace: element("div"), note: element("div"), original: element("div"), legend: element("div") };
  const history = historyChart(search, names);

  const choose = (subnet) => {
    scene.chosen = subnet;
    setQuery({ select: subnet });
    parts.chart.show(scene);
    parts.table?.choose(subnet);
    showPoint(parts.side, scene);
  };
  parts.chart = frontChart({ onChoose: choose });

  const load = async () => {
    await Promise.all([loadFront(scene, search.id, signal), loadEvaluated(scene, search.id, signal)]);
    fillTable(parts, scene, choose);
    showPoint(parts.side, scene);
    replaceContent(parts.note, thinnedNote(scene));
    replaceContent(parts.original, originalNote({ ...scene, targets: search.targets }));
    replaceContent(parts.legend, chartLegend(scene));
    parts.chart.show(scene);
  };
  await Promise.all([load(), loadOverlays(scene, overlays, search, signal)]);
  parts.chart.show(scene);

  const refresh = throttled(async () => {
    const fresh = await get(`/v1/searches/${id}`, {}, { signal });
    await load();
    history.update(fresh);
  }, signal);
  const running = !isFinal(search.state);
  return element(
    "div",
    { class: "stack" },
    titleOf(search, names),
    running || search.state !== "succeeded" ? jobPanel(job, { signal, title: "Search", onChange: (event) => { if (event.type !== "log") refresh(); }, onEnd: (ended) => { if (isFinal(ended.state) && ended.state === "succeeded") redraw(); } }) : null,
    nearestNote(search),
    element(
      "div",
      { class: "grid main-and-side" },
      element(
        "section",
        { class: "panel", "aria-label": "Front" },
        heading(2, "Front", element("div", { class: "actions" }, downloads(search, scene, parts.chart))),
        controls(scene, parts, search, setQuery, load, choose),
        parts.chart.node,
        parts.legend,
        parts.original,
        parts.note,
      ),
      element("section", { class: "panel", "aria-label": "Selected subnet", id: "selected" }, parts.side),
    ),
    element("section", { class: "panel" }, heading(2, "Subnets of the front"), parts.tablePlace),
    warningNotes(search, names),
    overlayPicker({ search, names, chosen: overlays, onChange: async (chosen) => {
      setQuery({ overlay: chosen.join(",") });
      await loadOverlays(scene, chosen, search, signal);
      parts.chart.show(scene);
    } }),
    element("div", { class: "grid two" }, element("section", { class: "panel" }, heading(2, "How the front grew"), history.node), detailsPanel(search, names)),
    search.state === "succeeded" && extendForm(search, names),
    commandsPanel(frontRequest(search.id, scene.perTarget ? scene.target : null, names)),
  );
}

function newScene(search, query, names) {
  const perTarget = search.front === "per_target" && search.targets.length > 1;
  const [first, second] = search.objectives;
  const asked = query.get("target");
  const target = search.targets.includes(asked) ? asked : search.targets.length === 1 || perTarget ? search.targets[0] : null;
  return {
    points: [], evaluated: [], overlays: [], original: null, total: 0, evaluatedTotal: 0,
    objectives: search.objectives,
    limits: search.constraints,
    x: query.get("x") ?? second ?? first,
    y: query.get("y") ?? first,
    chosen: query.get("select"),
    target, perTarget, names,
    shown: { measured: true, predicted: true, evaluated: true },
    knee: null, best: null, reasons: {},
  };
}

async function loadFront(scene, search, signal) {
  const query = { target: scene.target };
  const path = `/v1/searches/${search}/front`;
  const [front, knee, best] = await Promise.all([
    get(path, { ...query, max_points: MOST_POINTS }, { signal }),
    get(path, { ...query, pick: "knee" }, { signal }),
    get(path, { ...query, pick: "best" }, { signal }),
  ]);
  scene.points = front.points;
  scene.original = front.original ?? null;
  scene.total = front.total;
  scene.knee = knee.points[0]?.subnet ?? null;
  scene.best = best.points[0]?.subnet ?? null;
  scene.reasons = Object.fromEntries([...knee.points, ...best.points].map((point) => [point.subnet, point.reason]));
  for (const point of [...knee.points, ...best.points]) {
    if (!scene.points.some((each) => each.subnet === point.subnet)) scene.points.push(point);
  }
  if (scene.chosen === null || !scene.points.some((point) => point.subnet === scene.chosen)) scene.chosen = scene.chosen ?? scene.best;
}

async function loadEvaluated(scene, search, signal) {
  const found = await get(`/v1/searches/${search}/evaluations`, { target: scene.perTarget ? scene.target : null, max_points: MOST_EVALUATED }, { signal });
  const drawn = new Set(scene.points.map((point) => point.subnet));
  scene.evaluated = found.points.filter((row) => !drawn.has(row.subnet));
  scene.evaluatedTotal = found.total;
}

async function loadOverlays(scene, chosen, search, signal) {
  scene.overlays = await Promise.all(
    chosen.map(async (key) => {
      const [kind, id] = key.split(":");
      const label = kind === "target" ? `${scene.names.target(id)}, all searches` : kind === "search" ? `search ${id}` : key;
      const front = kind === "target"
        ? await get("/v1/fronts", { supernet: search.supernet, target: id, max_points: MOST_OVERLAID }, { signal })
        : await get(`/v1/searches/${id}/front`, { max_points: MOST_OVERLAID }, { signal });
      return { key, label, points: front.points, target: kind === "target" ? id : null };
    }),
  );
}

function fillTable(parts, scene, choose) {
  const marks = { knee: scene.knee, best: scene.best };
  const known = scene.points.map((point) => point.subnet).join();
  if (parts.tableOf === known) return;
  parts.tableOf = known;
  parts.table = frontTable({
    points: scene.points, objectives: scene.objectives, target: scene.target, chosen: scene.chosen, marks, onChoose: choose,
    onFilter: (kept) => parts.chart.show({ ...scene, points: kept }),
  });
  replaceContent(parts.tablePlace, scene.points.length === 0 ? element("p", { class: "quiet" }, "The front is stored when the search ends; until then the chart shows what is evaluated.") : parts.table.node);
}

function showPoint(side, scene) {
  const point = scene.points.find((each) => each.subnet === scene.chosen);
  replaceContent(side, pointPanel(point ?? scene.evaluated.find((each) => each.subnet === scene.chosen) ?? null, scene));
}

function thinnedNote(scene) {
  const words = [];
  if (scene.total > scene.points.length) words.push(`${number(scene.points.length, 0)} of ${number(scene.total, 0)} points are drawn, thinned evenly by the server`);
  if (scene.evaluatedTotal > 0) words.push(`${number(scene.evaluatedTotal, 0)} evaluated subnets${scene.evaluatedTotal > MOST_EVALUATED ? `, ${number(MOST_EVALUATED, 0)} drawn` : ""}`);
  return words.length === 0 ? null : element("p", { class: "quiet" }, element("small", {}, `${words.join(" · ")}.`));
}

function titleOf(search, names) {
  return element(
    "div",
    {},
    element("div", { class: "title" }, element("h1", {}, `Search on ${search.targets.map(names.target).join(", ") || "no target"}`), statePill(search.state), search.feasible === false && element("span", { class: "pill warn" }, "limits not met"),
      element("div", { class: "actions" }, element("a", { class: "button", href: `#/compare?supernet=${search.supernet}&targets=${search.targets.join(",")}` }, "Compare devices"))),
    element("div", { class: "facts" },
      element("span", {}, "supernet ", supernetLink(names, search.supernet)),
      search.targets.length > 0 && element("span", {}, "on ", search.targets.flatMap((id, index) => [index > 0 && ", ", targetLink(names, id)])),
      element("span", {}, "limits ", element("b", {}, limitWords(search.constraints, names) || "none")),
      element("span", {}, `${search.evaluations.done} of ${search.evaluations.budget} evaluations, ${search.evaluations.reused} known before`),
      element("span", {}, moment(search.created_at)),
      search.extends && element("span", {}, "extends ", element("a", { href: `#/searches/${search.extends}` }, search.extends)),
    ),
  );
}

function nearestNote({ feasible, nearest }) {
  if (feasible !== false) return null;
  if (!nearest) return element("div", { class: "note warn", id: "nearest" }, element("b", {}, "No subnet could be judged."), " None has a usable value of every limit and objective. Extend the search to measure again.");
  const misses = nearest.violations.map((miss) => `${metricLabel(miss.metric)} by ${percent(miss.excess)} of its limit`);
  return element("div", { class: "note warn", id: "nearest" }, element("p", {}, element("b", {}, "No subnet met the limits."), ` The nearest, `, element("a", { href: `#/subnets/${nearest.subnet}` }, nearest.subnet), `, misses ${misses.join(" and ") || "them narrowly"}.`));
}

// What the service says about how far the front can be trusted.
function warningNotes({ warnings }, names) {
  if (warnings.length === 0) return null;
  return element("section", { class: "note warn", "aria-label": "Warnings" }, element("b", {}, "How far to trust it"), element("ul", {}, warnings.map((text) => element("li", {}, capital(namedIn(text, names))))));
}

function namedIn(text, names) {
  return names.targets.reduce((words, target) => words.replaceAll(target.id, target.name), text);
}

function chartLegend(scene) {
  return legend([
    { shape: "circle", tone: "measured", text: "measured, ± standard error" },
    { shape: "diamond-open", tone: "predicted", text: "predicted before, 90 % interval" },
    { shape: "dot", tone: "cloud", text: "evaluated" },
    { shape: "star-open", tone: "predicted", text: "knee" },
    { shape: "triangle-open", tone: "good", text: "best" },
    { shape: "ring", tone: "chosen", text: "selected" },
    ...(scene.original ? [{ shape: "square", tone: "good", text: "the original" }] : []),
    ...(scene.limits.length > 0 ? [{ shape: "line", tone: "limit", text: "limit" }] : []),
  ]);
}

function controls(scene, parts, search, setQuery, load, choose) {
  const known = () => [...new Set([...scene.objectives, ...metricsOf(scene.points), scene.x, scene.y])];
  const pick = (name) => {
    const select = element("select", { onchange: () => { scene[name] = select.value; setQuery({ [name]: select.value }); parts.chart.show(scene); } });
    select.append(...known().map((metric) => element("option", { value: metric, selected: metric === scene[name] }, metricLabel(metric))));
    return select;
  };
  const targets = element("select", { onchange: async () => {
    scene.target = targets.value || null;
    setQuery({ target: scene.target });
    parts.tableOf = null;
    await load();
  } }, !scene.perTarget && search.targets.length > 1 && element("option", { value: "" }, "worst target"), search.targets.map((id) => element("option", { value: id, selected: id === scene.target }, scene.names.target(id))));
  const jump = (name) => element("button", { class: "button small", type: "button", onclick: () => { if (scene[name]) choose(scene[name]); } }, `Select ${name}`);
  return element(
    "div",
    { class: "fields" },
    labelled("Across", pick("x")),
    labelled("Up", pick("y")),
    search.targets.length > 1 && labelled("Target", targets),
    element("fieldset", {}, element("legend", {}, "Show"), element("div", { class: "choices" }, Object.keys(scene.shown).map((name) => toggle(name, scene, parts)))),
    element("div", { class: "actions" }, jump("best"), jump("knee")),
  );
}

function toggle(name, scene, parts) {
  const box = element("input", { type: "checkbox", checked: true, onchange: () => { scene.shown[name] = box.checked; parts.chart.show(scene); } });
  return element("label", { class: "choice" }, box, name);
}

function downloads(search, scene, chart) {
  const place = element("span");
  const button = (text, work) => {
    const made = element("button", { class: "button small", type: "button" }, text);
    made.addEventListener("click", guarded(made, place, work));
    return made;
  };
  const target = scene.perTarget && scene.target ? `target=${scene.target}` : "";
  const path = `/v1/searches/${search.id}/front`;
  return [
    button("CSV", () => download(`${path}?format=csv&${target}`)),
    button("JSON", () => download(`${path}?${target}`, `front-${search.id}.json`)),
    button("PNG", async () => save(await chart.image("png"), `front-${search.id}.png`)),
    button("SVG", async () => save(await chart.image("svg"), `front-${search.id}.svg`)),
    place,
  ];
}

function detailsPanel(search, names) {
  const { provenance } = search;
  const predictors = provenance.predictors_after ?? provenance.predictors ?? [];
  return element(
    "section",
    { class: "panel" },
    heading(2, "What was asked"),
    element("div", { class: "facts" },
      element("span", {}, "objectives ", element("b", {}, search.objectives.map(metricLabel).join(", "))),
      element("span", {}, "front ", element("b", {}, search.front.replace("_", " "))),
      element("span", {}, "confidence ", element("b", {}, percent(search.confidence))),
      element("span", {}, "algorithm ", element("b", {}, search.algorithm)),
      element("span", {}, "seed ", element("b", {}, search.seed)),
      ...Object.entries(search.restrict).map(([axis, choices]) => element("span", {}, `${axis} `, element("b", {}, choices.join(", ")))),
      ...Object.entries(search.labels).map(([name, value]) => element("span", {}, `${name} `, element("b", {}, value))),
    ),
    predictors.length > 0 && element("p", {}, "Predictors: ", predictors.map((row, index) => [index > 0 && ", ", row.id ? element("a", { href: `#/predictors/${row.id}` }, `${metricLabel(row.metric)}${row.target ? ` on ${names.target(row.target)}` : ""}`) : metricLabel(row.metric)])),
    element("p", {}, element("a", { href: `#/jobs/${search.job}` }, "Job and log")),
  );
}

// At most one run in a while, and one more after the last call.
function throttled(work, signal) {
  let timer = null;
  let busy = false;
  let again = false;
  const run = async () => {
    timer = null;
    if (signal.aborted) return;
    if (busy) { again = true; return; }
    busy = true;
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) console.warn(error.message);
    } finally {
      busy = false;
      if (again) { again = false; timer = setTimeout(run, REFRESH_EVERY); }
    }
  };
  return () => { timer ??= setTimeout(run, REFRESH_EVERY); };
}
