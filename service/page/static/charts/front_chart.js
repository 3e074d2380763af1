// The trade-off: measured and predicted values of a front, the evaluated subnets behind it, limits, knee and best.

import { axisTitle, formatSpread, formatValue, metricLabel, toShown } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";
import { measuredValue, predictedValue } from "./front_values.js";

const OVERLAYS = ["square", "triangle-up", "cross", "hexagon", "triangle-down"];

// `onChoose(subnet, overlay)` is called when a point is pressed.
export function frontChart({ onChoose }) {
  const place = chartPlace({ label: "Front: one mark per subnet; the table shows the same values", size: "tall", empty: "No subnet to draw yet: points appear as soon as they are evaluated." });
  place.on("plotly_click", (event) => {
    const found = event.points.find((point) => point.customdata);
    if (found) onChoose(found.customdata);
  });
  return {
    ...place,
    show: (scene) => place.draw(figureOf(scene)),
  };
}

// `scene` is {points, evaluated, overlays, original, limits, knee, best, chosen, x, y, target, names, shown}.
function figureOf(scene) {
  const data = [];
  if (scene.shown.evaluated) data.push(cloudTrace(scene));
  scene.overlays.forEach((overlay, index) => data.push(overlayTrace(scene, overlay, index)));
  if (scene.shown.predicted) data.push(predictedTrace(scene));
  if (scene.shown.measured) data.push(measuredTrace(scene));
  if (scene.original) data.push(originalTrace(scene));
  data.push(...markTraces(scene));
  return { data: data.filter((trace) => trace.x.length > 0), layout: layoutOf(scene) };
}

function layoutOf({ x, y, limits, names, target }) {
  const scale = (metric) => axis(axisTitle(metric) + (names && target && isOf(metric, limits) ? "" : ""), { tickformat: "" });
  const shapes = [];
  const annotations = [];
  for (const limit of limits) {
    for (const [bound, value] of [["max", limit.max], ["min", limit.min]]) {
      if (value === null || value === undefined) continue;
      if (limit.target && target && limit.target !== target) continue;
      const at = toShown(limit.metric, value);
      const line = { type: "line", line: { color: colour("limit"), width: 1.8, dash: "dash" } };
      const text = `${metricLabel(limit.metric)} ${bound === "max" ? "≤" : "≥"} ${formatValue(limit.metric, value)}`;
      const words = { text, showarrow: false, font: { color: colour("limit"), size: 12 }, bgcolor: colour("surface"), borderpad: 2 };
      if (limit.metric === x) {
        shapes.push({ ...line, x0: at, x1: at, yref: "paper", y0: 0, y1: 1 });
        annotations.push({ ...words, x: at, yref: "paper", y: 0.02, xanchor: bound === "max" ? "right" : "left", yanchor: "bottom" });
      } else if (limit.metric === y) {
        shapes.push({ ...line, y0: at, y1: at, xref: "paper", x0: 0, x1: 1 });
        annotations.push({ ...words, y: at, xref: "paper", x: 0.99, xanchor: "right", yanchor: bound === "max" ? "top" : "bottom" });
      }
    }
  }
  return { xaxis: scale(x), yaxis: scale(y), shapes, annotations };
}

function isOf(metric, limits) {
  return limits.some((limit) => limit.metric === metric);
}

function measuredTrace({ points, x, y, target, names }) {
  const rows = points.map((point) => [point, measuredValue(point, x, target), measuredValue(point, y, target)]).filter(([, left, right]) => left && right);
  return {
    ...trace(rows, x, y, (row) => row[1], (row) => row[2]),
    name: "measured",
    marker: { symbol: "circle", size: 10, color: colour("measured"), line: { color: colour("surface"), width: 1 } },
    error_x: spreads(rows, x, 1, colour("measured")),
    error_y: spreads(rows, y, 2, colour("measured")),
    text: rows.map(([point]) => hoverText(point, target, names)),
    customdata: rows.map(([point]) => point.subnet),
  };
}

function predictedTrace({ points, x, y, target, names }) {
  const rows = points
    .map((point) => [point, predictedValue(point, x, target) ?? fixed(point, x, target), predictedValue(point, y, target) ?? fixed(point, y, target)])
    .filter(([point, left, right]) => left && right && (predictedValue(point, x, target) || predictedValue(point, y, target)));
  return {
    ...trace(rows, x, y, (row) => row[1], (row) => row[2]),
    name: "predicted",
    marker: { symbol: "diamond-open", size: 11, color: colour("predicted"), line: { width: 1.8 } },
    error_x: intervals(rows, x, 1),
    error_y: intervals(rows, y, 2),
    text: rows.map(([point]) => hoverText(point, target, names)),
    customdata: rows.map(([point]) => point.subnet),
  };
}

// Where a metric is known exactly, a predicted mark has no interval along it.
function fixed(point, metric, target) {
  const known = measuredValue(point, metric, target);
  return known && { mean: known.value, low: known.value, high: known.value };
}

function trace(rows, x, y, left, right) {
  return {
    type: "scatter",
    mode: "markers",
    x: rows.map((row) => toShown(x, left(row).value ?? left(row).mean)),
    y: rows.map((row) => toShown(y, right(row).value ?? right(row).mean)),
    hovertemplate: "%{text}<extra></extra>",
  };
}

function spreads(rows, metric, index, tone) {
  return { type: "data", array: rows.map((row) => toShown(metric, row[index].spread ?? 0)), color: tone, thickness: 1.2, width: 3 };
}

function intervals(rows, metric, index) {
  return {
    type: "data",
    symmetric: false,
    array: rows.map((row) => toShown(metric, row[index].high - row[index].mean)),
    arrayminus: rows.map((row) => toShown(metric, row[index].mean - row[index].low)),
    color: colour("predicted"),
    thickness: 1,
    width: 0,
  };
}

function cloudTrace({ evaluated, x, y, target }) {
  const of = (row, metric) => {
    const found = row.values.filter((value) => value.metric === metric && (value.target === null || target === null || value.target === target));
    return found.length === 0 ? null : Math.max(...found.map((value) => value.value));
  };
  const rows = evaluated.map((row) => [row, of(row, x), of(row, y)]).filter(([, left, right]) => left !== null && right !== null);
  return {
    type: "scatter",
    mode: "markers",
    name: "evaluated",
    x: rows.map(([, left]) => toShown(x, left)),
    y: rows.map(([, , right]) => toShown(y, right)),
    marker: { symbol: rows.map(([row]) => (row.front ? "circle-open" : "circle")), size: rows.map(([row]) => (row.front ? 9 : 5)), color: rows.map(([row]) => (row.front ? colour("measured") : colour("cloud"))) },
    text: rows.map(([row, left, right]) => `evaluated subnet ${row.subnet}<br>${metricLabel(x)} ${formatValue(x, left)}<br>${metricLabel(y)} ${formatValue(y, right)}<br>${row.feasible ? (row.front ? "on the front as it stands" : "within the limits") : "outside the limits"}${row.own ? "" : ", known before this search"}`),
    hovertemplate: "%{text}<extra></extra>",
    customdata: rows.map(([row]) => row.subnet),
  };
}

function overlayTrace({ x, y, names }, overlay, index) {
  const rows = overlay.points.map((point) => [point, measuredValue(point, x, overlay.target), measuredValue(point, y, overlay.target)]).filter(([, left, right]) => left && right);
  return {
    ...trace(rows, x, y, (row) => row[1], (row) => row[2]),
    name: overlay.label,
    marker: { symbol: OVERLAYS[index % OVERLAYS.length], size: 9, color: colour(`overlay-${(index % 5) + 1}`) },
    text: rows.map(([point]) => `<b>${overlay.label}</b><br>${hoverText(point, overlay.target, names)}`),
    customdata: rows.map(([point]) => point.subnet),
  };
}

// The network that a converted supernet was made from, where both values are known.
function originalTrace({ original, x, y, target, names }) {
  const rows = [[original, measuredValue(original, x, target), measuredValue(original, y, target)]].filter(([, left, right]) => left && right);
  return {
    ...trace(rows, x, y, (row) => row[1], (row) => row[2]),
    name: "original",
    marker: { symbol: "square", size: 12, color: colour("good"), line: { color: colour("surface"), width: 1 } },
    error_x: spreads(rows, x, 1, colour("good")),
    error_y: spreads(rows, y, 2, colour("good")),
    text: rows.map(([point]) => `<b>the original, as it came</b><br>${hoverText({ ...point, predicted: [] }, target, names)}`),
  };
}

function markTraces({ points, x, y, target, knee, best, chosen }) {
  const ring = (subnet, name, symbol, size, tone) => {
    const point = points.find((each) => each.subnet === subnet);
    const left = point && measuredValue(point, x, target);
    const right = point && measuredValue(point, y, target);
    if (!left || !right) return null;
    return {
      type: "scatter", mode: "markers", name, hoverinfo: "skip",
      x: [toShown(x, left.value)], y: [toShown(y, right.value)],
      marker: { symbol, size, color: colour(tone), line: { width: 2, color: colour(tone) } },
    };
  };
  return [
    ring(knee, "knee", "star-open", 20, "predicted"),
    ring(best, "best", "triangle-up-open", 21, "good"),
    ring(chosen, "selected", "circle-open", 24, "chosen"),
  ].filter((each) => each !== null);
}

// Everything that is known of a point.
function hoverText(point, target, names) {
  const lines = [`<b>${point.subnet}</b>`];
  for (const found of point.measured) {
    if (target && found.target !== target) continue;
    const where = names && point.measured.length > 1 ? ` on ${names.target(found.target)}` : "";
    lines.push(`${metricLabel(found.metric)}${where}: measured ${formatValue(found.metric, found.value)}${found.spread ? ` ± ${formatSpread(found.metric, found.spread)}` : ""} (n ${found.n}, ${found.verdict ?? "no verdict"})`);
  }
  for (const found of point.predicted) {
    if (target && found.target !== null && found.target !== target) continue;
    lines.push(`${metricLabel(found.metric)}: predicted ${formatValue(found.metric, found.mean)} (90 % ${formatValue(found.metric, found.low, { unit: false })} to ${formatValue(found.metric, found.high)})`);
  }
  for (const found of [point.validation, point.quality]) {
    if (found) lines.push(`${metricLabel(found.metric)} on ${found.split}: ${formatValue(found.metric, found.value)} ± ${formatSpread(found.metric, found.standard_error)} (n ${found.n})`);
  }
  for (const [name, value] of Object.entries(point.costs)) lines.push(`${metricLabel(name)}: ${formatValue(name, value)}`);
  lines.push(archLines(point.arch));
  return lines.join("<br>");
}

function archLines(arch) {
  const words = Object.entries(arch).map(([name, choice]) => `${name} ${choice}`);
  const lines = [];
  for (let start = 0; start < Math.min(words.length, 24); start += 4) lines.push(words.slice(start, start + 4).join(" · "));
  return lines.join("<br>");
}
