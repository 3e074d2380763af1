// Fronts of several targets in one chart, each with a shape and a colour of its own.

import { axisTitle, formatValue, metricLabel, toShown } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { measuredValue } from "./front_values.js";
import { axis, chartPlace } from "./plotly.js";

const TONES = ["measured", "predicted", "overlay-1", "overlay-2", "overlay-3", "overlay-4", "overlay-5"];
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon"];

export function compareChart() {
  const place = chartPlace({ named: true, label: "Fronts of the targets", size: "tall", empty: "No front is stored on these targets yet." });
  place.on("plotly_click", (event) => { location.hash = event.points[0].customdata; });
  return { node: place.node, show: (scene) => place.draw(figureOf(scene)) };
}

function figureOf({ fronts, targets, names, x, y, limit }) {
  const data = fronts.map((front, index) => {
    const target = targets[index];
    const rows = front.points.map((point) => [point, measuredValue(point, x, target), measuredValue(point, y, target)]).filter(([, left, right]) => left && right);
    rows.sort((left, right) => left[1].value - right[1].value);
    return {
      type: "scatter", mode: "lines+markers", name: names.target(target),
      x: rows.map((row) => toShown(x, row[1].value)),
      y: rows.map((row) => toShown(y, row[2].value)),
      line: { shape: "hv", width: 1.2, color: colour(TONES[index % TONES.length]), dash: "dot" },
      marker: { symbol: SYMBOLS[index % SYMBOLS.length], size: 10, color: colour(TONES[index % TONES.length]) },
      text: rows.map((row) => `<b>${names.target(target)}</b><br>${row[0].subnet}<br>${metricLabel(x)} ${formatValue(x, row[1].value)}<br>${metricLabel(y)} ${formatValue(y, row[2].value)}`),
      hovertemplate: "%{text}<extra></extra>",
      customdata: rows.map((row) => `#/subnets/${row[0].subnet}?target=${target}`),
    };
  }).filter((trace) => trace.x.length > 0);
  const shapes = limit === null ? [] : [{ type: "line", x0: toShown(x, limit), x1: toShown(x, limit), yref: "paper", y0: 0, y1: 1, line: { color: colour("limit"), width: 1.8, dash: "dash" } }];
  return { data, layout: { xaxis: axis(axisTitle(x)), yaxis: axis(axisTitle(y)), shapes } };
}
