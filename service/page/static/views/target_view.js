// A target: device and settings, its predictors with their report cards, drift, and measuring more.

import { get, list, post } from "../api.js";
import { driftChart } from "../charts/drift_chart.js";
import { agreementChart } from "../charts/agreement_chart.js";
import { element, heading, labelled, replaceContent } from "../elements.js";
import { capital, firstMeasured, formatSpread, formatValue, metricLabel, moment, number } from "../metrics.js";
import { loadNames } from "../names.js";
import { deviceWords, predictorLine, settingsWords } from "../parts/cards.js";
import { commandsPanel, shellWord } from "../parts/commands.js";
import { dataTable, factsTable } from "../parts/data_table.js";
import { jobPanel } from "../parts/job_progress.js";
import { guarded } from "../parts/problem_note.js";
import { fitRequest, measureRequest } from "../parts/request_texts.js";

const MORE = 10;
const MOST_ROWS = 200;

export async function draw({ id, signal, redraw }) {
  const target = await get(`/v1/targets/${id}`, {}, { signal }); // first: its refusal is the one to show
  const [names, predictors, measurements] = await Promise.all([
    loadNames({ signal }),
    list("/v1/predictors", { target: id }, 100, { signal }),
    list("/v1/measurements", { target: id }, MOST_ROWS, { signal }),
  ]);
  const newest = newestFitted(predictors);
  const cards = await Promise.all(newest.slice(0, 4).map((row) => get(`/v1/predictors/${row.id}`, {}, { signal })));
  const drift = driftChart(target);
  return element(
    "div",
    { class: "stack" },
    element("div", {}, element("div", { class: "title" }, element("h1", {}, target.name), element("span", { class: "pill" }, target.kind), target.stale && element("span", { class: "pill warn" }, "stale")), element("div", { class: "facts" }, element("span", {}, deviceWords(target)), element("span", {}, settingsWords(target)))),
    staleNote(target, redraw),
    element(
      "div",
      { class: "grid two" },
      element("section", { class: "panel" }, heading(2, "Target"), targetFacts(target)),
      element("div", { class: "stack" },
        measureForm(target, names, signal, redraw),
        element("section", { class: "panel stack" }, heading(2, "Predictors"), newest.length === 0 ? element("p", { class: "quiet" }, "None is fitted yet. About 30 measured subnets are enough for a first one.") : newest.map((row) => element("div", {}, element("span", { class: "quiet" }, `${names.supernet(row.supernet)}: `), predictorLine(row))), refitButtons(newest, target, names, redraw)),
      ),
    ),
    cards.filter((card) => (card.report?.points ?? []).length > 0).map((card) => element("section", { class: "panel" }, heading(2, `${capital(metricLabel(card.metric))} of ${names.supernet(card.supernet)}: predicted against measured`, element("div", { class: "actions" }, element("a", { href: `#/predictors/${card.id}` }, "Report card"))), agreementChart(card))),
    element(
      "section",
      { class: "panel" },
      heading(2, "Drift of the reference network"),
      element("p", { class: "quiet" }, "Its latency in each run over that of the calibration. 1 is no drift; a lasting change makes the target stale."),
      drift.node,
    ),
    element("section", { class: "panel" }, heading(2, "Newest measurements"), measurementRows(measurements)),
    commandsPanel({ method: "GET", path: `/v1/targets/${id}`, python: `print(client.targets.get(${JSON.stringify(target.name)}))`, cli: [`targets show ${shellWord(target.name)}`, `targets measurements ${shellWord(target.name)}`] }),
  );
}

function newestFitted(predictors) {
  const seen = new Set();
  return predictors.filter((row) => {
    const key = `${row.supernet} ${row.metric}`;
    return row.version !== null && !seen.has(key) && seen.add(key);
  });
}

function staleNote(target, redraw) {
  if (!target.stale) return null;
  const place = element("div");
  const button = element("button", { class: "button", type: "button" }, "Refresh the target");
  button.addEventListener("click", guarded(button, place, async () => { await post(`/v1/targets/${target.id}:refresh`); await redraw(); }));
  const call = { method: "POST", path: `/v1/targets/${target.id}:refresh`, python: `client.targets.get(${JSON.stringify(target.name)}).reset()`, cli: `targets refresh ${shellWord(target.name)}` };
  return element("div", { class: "note warn stack" }, element("p", {}, element("b", {}, "What was measured here no longer holds. "), target.stale), element("div", { class: "actions" }, button), place, commandsPanel(call));
}

function targetFacts(target) {
  const { device = {}, runtime = {} } = target.description ?? {};
  const plain = (object) => Object.entries(object).filter(([, value]) => typeof value !== "object" || Array.isArray(value)).map(([name, value]) => [name.replaceAll("_", " "), String(value)]);
  return factsTable(
    [
      ["id", element("span", { class: "mono" }, target.id)],
      ...plain(device),
      ...plain(runtime).map(([name, value]) => [`runtime ${name}`, value]),
      ...plain(target.settings),
      ["metrics", target.metrics.map(metricLabel).join(", ")],
      ["reference networks", calibrationWords(target)],
      ["cannot run", target.unsupported > 0 ? `${target.unsupported} subnets` : null],
      ["agents", target.agents.map((agent) => `${agent.name} (${agent.connected ? "connected" : `last seen ${moment(agent.seen_at)}`})`).join(", ")],
      ["valid from", target.valid_from ? moment(target.valid_from) : null],
    ],
    "Facts of the target",
  );
}

// The calibrated value of each reference network, of whichever metrics the calibration names.
function calibrationWords(target) {
  const shown = (value) => target.metrics.filter((metric) => value[metric] !== undefined).map((metric) => formatValue(metric, value[metric])).join(", ");
  return Object.entries(target.calibrations ?? {}).map(([name, value]) => `${name} ${shown(value)}`).join(" · ");
}

function measureForm(target, names, signal, redraw) {
  const supernets = names.supernets.filter((row) => row.source !== "table");
  if (!target.measurable) {
    const lines = `netwright targets import ${shellWord(target.name)} --supernet NAME rows.csv`;
    return element("section", { class: "panel" }, heading(2, "Measure more"), element("p", {}, "Nothing can be measured on a target of kind table; its rows are imported from a file."), element("pre", { class: "log" }, lines));
  }
  if (supernets.length === 0) return element("section", { class: "panel" }, heading(2, "Measure more"), element("p", { class: "quiet" }, "Register a supernet first: only its subnets can be measured."));
  const supernet = element("select", {}, supernets.map((row) => element("option", { value: row.id }, row.name)));
  const count = element("input", { type: "number", min: "1", max: "2000", step: "1", value: MORE, required: true });
  const place = element("div");
  const commands = element("div");
  const button = element("button", { class: "button main", type: "submit" }, "Measure");
  const call = () => measureRequest(target.id, supernet.value, count.valueAsNumber || 1, names);
  const say = () => replaceContent(commands, commandsPanel(call()));
  const form = element("form", { class: "fields", oninput: say }, labelled("Supernet", supernet), labelled("Subnets", count), button);
  form.addEventListener("submit", guarded(button, place, async () => {
    const { path, body } = call();
    const answer = await post(path, body);
    const job = await get(`/v1/jobs/${answer.job.id}`);
    replaceContent(place, jobPanel(job, { signal, title: "Measuring", onEnd: (ended) => { if (ended.state === "succeeded") redraw(); } }));
  }));
  say();
  return element("section", { class: "panel stack", id: "measure" }, heading(2, "Measure more"), element("p", { class: "quiet" }, "Subnets are chosen by what they tell most about this target, and timed beside a reference network."), form, place, commands);
}

function refitButtons(newest, target, names, redraw) {
  const place = element("div");
  const buttons = newest.map((row) => {
    const call = fitRequest(row.supernet, target.id, row.metric, names);
    const button = element("button", { class: "button small", type: "button" }, `Fit ${metricLabel(row.metric)} of ${names.supernet(row.supernet)} again`);
    button.addEventListener("click", guarded(button, place, async () => {
      const answer = await post(call.path, call.body);
      location.hash = `#/predictors/${answer.id}`;
    }));
    return button;
  });
  if (buttons.length === 0) {
    for (const supernet of names.supernets) {
      const call = fitRequest(supernet.id, target.id, firstMeasured(target.metrics), names);
      const button = element("button", { class: "button small", type: "button" }, `Fit a predictor for ${supernet.name}`);
      button.addEventListener("click", guarded(button, place, async () => {
        const answer = await post(call.path, call.body);
        location.hash = `#/predictors/${answer.id}`;
      }));
      buttons.push(button);
    }
  }
  return [element("div", { class: "actions" }, buttons), place];
}

function measurementRows(rows) {
  return dataTable({
    caption: "Newest measurements on the target",
    tall: rows.length > 12,
    rows,
    empty: "Nothing was measured here yet.",
    columns: [
      { title: "Subnet", value: (row) => row.subnet, cell: (row) => element("a", { href: `#/subnets/${row.subnet}?target=${row.target}` }, row.subnet) },
      { title: "Metric", value: (row) => metricLabel(row.metric) },
      { title: "Value", number: true, value: (row) => row.value, cell: (row) => `${formatValue(row.metric, row.value)}${row.spread ? ` ± ${formatSpread(row.metric, row.spread)}` : ""}` },
      { title: "n", number: true, value: (row) => row.n },
      { title: "Verdict", value: (row) => row.verdict, cell: (row) => row.verdict ?? "–" },
      { title: "Raw p50 / p90", number: true, value: (row) => row.details.raw?.p50 ?? null, cell: (row) => (row.details.raw ? `${number(row.details.raw.p50, 3)} / ${number(row.details.raw.p90, 3)}` : "–") },
      { title: "When", value: (row) => row.created_at, cell: (row) => moment(row.created_at) },
    ],
  }).node;
}
