// A predictor's report card: how well it does on rows it has not seen, where it errs, and whether more rows would help.

import { get, post } from "../api.js";
import { agreementChart } from "../charts/agreement_chart.js";
import { learningCurveChart } from "../charts/learning_curve_chart.js";
import { element, heading } from "../elements.js";
import { isFinal } from "../events.js";
import { archText, formatValue, metricLabel, moment, number, percent } from "../metrics.js";
import { loadNames, supernetLink, targetLink } from "../names.js";
import { commandsPanel } from "../parts/commands.js";
import { dataTable } from "../parts/data_table.js";
import { jobPanel } from "../parts/job_progress.js";
import { guarded } from "../parts/problem_note.js";
import { evaluateRequest, fitRequest, measureRequest } from "../parts/request_texts.js";
import { statePill } from "../parts/state_pill.js";

const COVERAGE_SLACK = 0.07; // an interval that covers this much more or less than it promises is called so

export async function draw({ id, signal, redraw }) {
  const [names, predictor] = await Promise.all([loadNames({ signal }), get(`/v1/predictors/${id}`, {}, { signal })]);
  const report = predictor.report ?? {};
  const job = !isFinal(predictor.state) || predictor.state === "failed" ? predictor.job && (await get(`/v1/jobs/${predictor.job}`, {}, { signal })) : null;
  const refit = fitRequest(predictor.supernet, predictor.target, predictor.metric, names);
  return element(
    "div",
    { class: "stack" },
    element(
      "div",
      {},
      element("div", { class: "title" }, element("h1", {}, `Predictor of ${metricLabel(predictor.metric)}`), statePill(predictor.state), refitButton(refit)),
      element("div", { class: "facts" },
        element("span", {}, "supernet ", supernetLink(names, predictor.supernet)),
        predictor.target && element("span", {}, "target ", targetLink(names, predictor.target)),
        element("span", {}, "kind ", element("b", {}, predictor.kind)),
        element("span", {}, element("b", {}, number(predictor.rows, 0)), " rows"),
        element("span", {}, moment(predictor.created_at)),
      ),
    ),
    job && jobPanel(job, { signal, title: "Fitting", onEnd: (ended) => { if (ended.state === "succeeded") redraw(); } }),
    predictor.stale && element("div", { class: "note warn" }, element("p", {}, element("b", {}, "It should be fitted again: "), predictor.stale)),
    report.note && element("div", { class: "note warn" }, element("p", {}, report.note)),
    report.n > 0 && element("section", { class: "panel" }, heading(2, "On rows it has not seen"), figures(report)),
    (report.points ?? []).length > 0 && element(
      "div",
      { class: "grid two" },
      element("section", { class: "panel" }, heading(2, "Predicted against measured"), agreementChart(predictor)),
      element("section", { class: "panel stack" }, heading(2, "Would more rows help?"), element("p", {}, enoughWords(report)), learningCurveChart(report), moreRows(predictor, names)),
    ),
    (report.worst ?? []).length > 0 && element("section", { class: "panel" }, heading(2, "Furthest off"), worstTable(predictor)),
    report.choice && element("section", { class: "panel" }, heading(2, "Why this kind"), choiceView(report.choice)),
    commandsPanel({ method: "GET", path: `/v1/predictors/${id}`, python: `print(client.predictors.get("${id}").report)`, cli: `predictors show ${id}` }),
  );
}

function refitButton(call) {
  const place = element("div");
  const button = element("button", { class: "button", type: "button" }, "Fit again");
  button.addEventListener("click", guarded(button, place, async () => {
    const answer = await post(call.path, call.body);
    location.hash = `#/predictors/${answer.id}`;
  }));
  return element("div", { class: "actions" }, button, place);
}

function figures(report) {
  const inside = report.coverage90;
  const tone = Math.abs(inside - 0.9) <= COVERAGE_SLACK ? ["good", "as promised"] : ["warn", inside > 0.9 ? "too wide" : "too narrow"];
  const tiles = [
    ["Spearman correlation", number(report.spearman, 3), report.noise_ceiling ? `two halves of the data agree to ${number(report.noise_ceiling, 3)}` : ""],
    ["Kendall correlation", number(report.kendall, 3), ""],
    ["median error", percent(report.median_ape, 2), ""],
    ["mean error", percent(report.mape, 2), ""],
    ["bias", percent(report.bias, 2), "above 0: predicted too large"],
    ["90 % interval covers", [percent(inside, 3), " ", element("span", { class: `pill ${tone[0]}` }, tone[1])], ""],
    ["width of the interval", percent(report.width90, 2), "of the value"],
    ["held-out rows", number(report.n, 0), ""],
  ];
  return element("dl", { class: "tiles" }, tiles.map(([name, value, hint]) => element("div", {}, element("dt", {}, name), element("dd", {}, value, hint && element("small", {}, hint)))));
}

function enoughWords(report) {
  if (report.enough_rows) return `No: from ${report.enough_rows} rows on, more lowered error and interval down by less than a tenth.`;
  return "Yes, as far as can be told: error or interval still fall with more rows.";
}

function moreRows(predictor, names) {
  const call = predictor.target ? measureRequest(predictor.target, predictor.supernet, 20, names) : evaluateRequest(predictor.supernet, 50, names);
  const place = element("div");
  const button = element("button", { class: "button", type: "button" }, predictor.target ? "Measure 20 more" : "Evaluate 50 more");
  button.addEventListener("click", guarded(button, place, async () => {
    const answer = await post(call.path, call.body);
    location.hash = `#/jobs/${answer.job.id}`;
  }));
  return element("div", { class: "stack" }, element("div", { class: "actions" }, button), place, commandsPanel(call));
}

function worstTable({ report, metric }) {
  return dataTable({
    caption: "Subnets furthest off",
    rows: report.worst.map((row, index) => ({ id: String(index), ...row })),
    columns: [
      { title: "Measured", number: true, value: (row) => row.measured, cell: (row) => formatValue(metric, row.measured) },
      { title: "Predicted", number: true, value: (row) => row.predicted, cell: (row) => formatValue(metric, row.predicted) },
      { title: "Error", number: true, value: (row) => row.error, cell: (row) => percent(row.error, 3) },
      { title: "Architecture", sortable: false, cell: (row) => element("span", { class: "mono quiet" }, archText(row.arch)) },
    ],
  }).node;
}

function choiceView(choice) {
  const kinds = choice.candidates ?? [];
  const rows = kinds.map((row, index) => ({ id: String(index), ...row }));
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== "id" && rows.some((row) => typeof row[name] !== "object"));
  return element(
    "div",
    { class: "stack" },
    element("p", {}, choice.reason ?? ""),
    rows.length > 0 && dataTable({
      caption: "Kinds that were compared",
      rows,
      columns: columns.map((name) => ({ title: name.replaceAll("_", " "), number: rows.some((row) => typeof row[name] === "number"), value: (row) => row[name], cell: (row) => (typeof row[name] === "number" ? number(row[name], 3) : String(row[name] ?? "–")) })),
    }).node,
  );
}
