// A supernet: its data, training and report card, its space, and what is fitted and searched on it.

import { get, list, post } from "../api.js";
import { panelChart } from "../charts/panel_chart.js";
import { element, heading, labelled, replaceContent } from "../elements.js";
import { capital, duration, metricLabel, number } from "../metrics.js";
import { loadNames } from "../names.js";
import { predictorLine, spreadWords } from "../parts/cards.js";
import { commandsPanel } from "../parts/commands.js";
import { dataTable, factsTable } from "../parts/data_table.js";
import { jobPanel } from "../parts/job_progress.js";
import { guarded } from "../parts/problem_note.js";
import { evaluateRequest } from "../parts/request_texts.js";
import { searchTable } from "./searches_view.js";

export async function draw({ id, signal, redraw }) {
  const supernet = await get(`/v1/supernets/${id}`, {}, { signal }); // first: its refusal is the one to show
  const [names, space, predictors, searches] = await Promise.all([
    loadNames({ signal }),
    get(`/v1/supernets/${id}/space`, {}, { signal }),
    list("/v1/predictors", { supernet: id }, 100, { signal }),
    list("/v1/searches", { supernet: id }, 20, { signal }),
  ]);
  const chart = panelChart(supernet);
  return element(
    "div",
    { class: "stack" },
    element(
      "div",
      {},
      element("div", { class: "title" }, element("h1", {}, supernet.name), element("span", { class: "pill" }, supernet.source), element("div", { class: "actions" }, supernet.source !== "table" && element("a", { class: "button main", href: `#/searches/new?supernet=${id}` }, "Search"))),
      element("div", { class: "facts" }, element("span", {}, supernet.family), element("span", {}, element("b", {}, number(space.size, 3)), " subnets"), element("span", {}, element("b", {}, supernet.classes.length), " classes"), supernet.licence ? element("span", {}, "licence ", element("b", {}, supernet.licence)) : ""),
    ),
    element("div", { class: "grid two" }, element("section", { class: "panel" }, heading(2, "Data and training"), trainingFacts(supernet)), element("div", { class: "stack" }, evaluateForm(supernet, names, signal, redraw), predictorsPanel(predictors, names))),
    element("div", { class: "grid two" },
      element("section", { class: "panel" }, heading(2, `${capital(metricLabel(supernet.quality))} of the panel`), element("p", { class: "quiet" }, "Subnets of all sizes, evaluated when the training ended."), chart.node),
      element("section", { class: "panel" }, heading(2, "Space"), spaceTable(space)),
    ),
    supernet.report.converted && foundPanel(supernet.report.converted),
    searches.length > 0 && element("section", { class: "panel" }, heading(2, "Searches"), searchTable(searches, names)),
    commandsPanel({ method: "GET", path: `/v1/supernets/${id}`, python: `print(client.supernets.get("${supernet.name}").report)`, cli: `supernets show ${supernet.name}` }),
  );
}

function predictorsPanel(predictors, names) {
  const fitted = predictors.filter((row) => row.version !== null);
  return element("section", { class: "panel stack" }, heading(2, "Predictors"), fitted.length === 0
    ? element("p", { class: "quiet" }, "None is fitted yet.")
    : fitted.map((row) => element("div", {}, row.target && element("span", { class: "quiet" }, `on ${names.target(row.target)}: `), predictorLine(row))));
}

function trainingFacts(supernet) {
  const { training = {}, recipe = {}, data = {}, preprocessing = {}, report = {} } = supernet;
  const splits = Object.entries(data.splits ?? {}).map(([name, split]) => `${number(split.n, 0)} ${name}`).join(", ");
  const summary = report.summary?.test ?? {};
  const end = (name) => (summary[name] ? spreadWords(supernet.quality, summary[name].value, summary[name].standard_error) : null);
  return factsTable(
    [
      ["id", element("span", { class: "mono" }, supernet.id)],
      ["data", data.name],
      ["splits", splits],
      ["smallest subnet, test", end("smallest")],
      ["largest subnet, test", end("largest")],
      ["original, test", report.original ? spreadWords(supernet.quality, report.original.test.value, report.original.test.standard_error) : null],
      ["recipe", recipe.name],
      ["steps", training.steps ? number(training.steps, 0) : null],
      ["forward and backward passes", training.passes ? number(training.passes, 0) : null],
      ["training took", training.seconds ? duration(training.seconds) : null],
      ["stages", training.stages?.length > 1 ? String(training.stages.length) : null],
      ["seed", training.seed],
      ["input", preprocessing.channels ? `${preprocessing.channels} channels, range ${preprocessing.range}, mean ${preprocessing.mean?.join(", ")}, std ${preprocessing.std?.join(", ")}` : null],
      ["weights", element("span", { class: "mono wrap" }, `SHA-256 ${supernet.weights_sha256}`)],
    ],
    "Data and training",
  );
}

// What was found when the supernet was made of a network of the user's own.
function foundPanel(found) {
  return element("div", { class: "grid two" },
    element("section", { class: "panel" }, heading(2, "What can be removed"), dataTable({
      caption: "Axes that were found in the original",
      tall: found.axes.length > 14,
      rows: found.axes.map((axis) => ({ id: axis.name, ...axis })),
      columns: [
        { title: "Axis", value: (row) => row.name, cell: (row) => element("span", { class: "mono" }, row.name) },
        { title: "Keeps", value: (row) => row.choices.length, cell: (row) => row.choices.map((each) => each.kept).join(", ") },
        { title: "At a time", value: (row) => row.unit ?? "" },
        { title: "Removing is", value: (row) => row.removing },
      ],
    }).node),
    element("section", { class: "panel" }, heading(2, "What stays"), found.frozen.length === 0 ? element("p", { class: "quiet" }, "Nothing.") : dataTable({
      caption: "Modules that stay as they are",
      tall: found.frozen.length > 14,
      rows: found.frozen.map((each, place) => ({ id: `${place}`, ...each })),
      columns: [
        { title: "Module", value: (row) => row.module, cell: (row) => element("span", { class: "mono" }, row.module) },
        { title: "Channels", value: (row) => row.count, cell: (row) => `${row.count} of ${row.of}` },
        { title: "Reason", value: (row) => row.reason, cell: (row) => (row.line ? `${row.reason} at ${row.line}` : row.reason) },
      ],
    }).node),
  );
}

function spaceTable(space) {
  return dataTable({
    caption: "Axes of the space",
    tall: space.axes.length > 14,
    rows: space.axes.map((axis) => ({ id: axis.name, ...axis })),
    columns: [
      { title: "Axis", value: (row) => row.name, cell: (row) => element("span", { class: "mono" }, row.name) },
      { title: "Kind", value: (row) => row.kind },
      { title: "Choices", value: (row) => row.choices.length, cell: (row) => row.choices.join(", ") },
      { title: "Active when", value: (row) => row.parent, cell: (row) => (row.parent ? `${row.parent} is ${row.active_when.join(", ")}` : "always") },
    ],
  }).node;
}

function evaluateForm(supernet, names, signal, redraw) {
  if (supernet.source === "table") return element("section", { class: "panel" }, heading(2, "Evaluate more"), element("p", { class: "quiet" }, "The space of a table has no networks to evaluate."));
  const count = element("input", { type: "number", min: "1", max: "2000", step: "1", value: 50, required: true });
  const place = element("div");
  const commands = element("div");
  const button = element("button", { class: "button main", type: "submit" }, "Evaluate");
  const call = () => evaluateRequest(supernet.id, count.valueAsNumber || 1, names);
  const say = () => replaceContent(commands, commandsPanel(call()));
  const form = element("form", { class: "fields", oninput: say }, labelled("Subnets", count), button);
  form.addEventListener("submit", guarded(button, place, async () => {
    const { path, body } = call();
    const answer = await post(path, body);
    const job = await get(`/v1/jobs/${answer.job.id}`);
    replaceContent(place, jobPanel(job, { signal, title: "Evaluating", onEnd: (ended) => { if (ended.state === "succeeded") redraw(); } }));
  }));
  say();
  return element("section", { class: "panel stack" }, heading(2, "Evaluate more"), element("p", { class: "quiet" }, `${capital(metricLabel(supernet.quality))} of subnets spread over the space, on validation data. A predictor needs about 100.`), form, place, commands);
}
