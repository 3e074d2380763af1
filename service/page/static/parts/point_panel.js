// The selected subnet next to the chart: its values, why it was picked, and the way to its file.

import { element, heading } from "../elements.js";
import { formatSpread, formatValue, metricLabel } from "../metrics.js";
import { factsTable } from "./data_table.js";

export function pointPanel(point, scene) {
  if (point === null || point === undefined) {
    return element("div", {}, heading(2, "Selected subnet"), element("p", { class: "quiet" }, "Press a point in the chart or a row of the table."));
  }
  const tags = [["knee", "warn"], ["best", "good"]].filter(([name]) => scene[name] === point.subnet).map(([name, tone]) => element("span", { class: `pill ${tone}` }, name));
  const target = scene.target ?? point.measured?.[0]?.target ?? "";
  return element(
    "div",
    { dataset: { subnet: point.subnet } },
    heading(2, "Selected subnet", tags),
    element("p", { class: "mono wrap" }, point.subnet),
    scene.reasons[point.subnet] && element("p", { class: "quiet" }, withNames(scene.reasons[point.subnet], scene.names)),
    factsTable(point.values ? evaluatedRows(point) : frontRows(point, scene), "Values of the selected subnet"),
    element("div", { class: "actions" }, element("a", { class: "button main", href: `#/subnets/${point.subnet}${target ? `?target=${target}` : ""}` }, "Open and export")),
  );
}

// A text of the API with the names of targets in place of their ids.
function withNames(text, names) {
  return names.targets.reduce((words, target) => words.replaceAll(target.id, target.name), text);
}

function frontRows(point, scene) {
  const counts = (row) => scene.target === null || row.target === null || row.target === scene.target;
  const several = new Set(point.measured.map((row) => row.target)).size > 1;
  const where = (target) => (several && target ? ` on ${scene.names.target(target)}` : "");
  return [
    ...point.measured.filter(counts).map((row) => [`${metricLabel(row.metric)}${where(row.target)}, measured`, `${withSpread(row.metric, row.value, row.spread)} · n ${row.n}${row.verdict ? ` · ${row.verdict}` : ""}`]),
    ...point.predicted.filter(counts).map((row) => [`${metricLabel(row.metric)}${where(row.target)}, predicted`, `${formatValue(row.metric, row.mean)} (${formatValue(row.metric, row.low, { unit: false })} to ${formatValue(row.metric, row.high)})`]),
    ...[point.validation, point.quality].filter(Boolean).map((row) => [`${metricLabel(row.metric)} on ${row.split}`, `${withSpread(row.metric, row.value, row.standard_error)} · n ${row.n}`]),
    ...Object.entries(point.costs).map(([name, value]) => [metricLabel(name), formatValue(name, value)]),
  ];
}

function evaluatedRows(row) {
  return [
    ...row.values.map((value) => [metricLabel(value.metric), formatValue(value.metric, value.value)]),
    ["limits", row.feasible ? "met" : "not met"],
    ["evaluated by", row.own ? "this search" : "work before it"],
  ];
}

function withSpread(metric, value, spread) {
  return spread ? `${formatValue(metric, value)} ± ${formatSpread(metric, spread)}` : formatValue(metric, value);
}
