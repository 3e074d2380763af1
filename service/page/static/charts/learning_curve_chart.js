// How the error of a predictor falls with the number of rows it learned from.

import { percent } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";

export function learningCurveChart(report) {
  const place = chartPlace({ label: "Error against the number of rows", size: "short", empty: "Too few rows for a learning curve." });
  const steps = report.learning_curve ?? [];
  const marks = report.enough_rows ? [{ type: "line", x0: report.enough_rows, x1: report.enough_rows, yref: "paper", y0: 0, y1: 1, line: { color: colour("good"), dash: "dash", width: 1.5 } }] : [];
  place.draw({
    data: [
      {
        type: "scatter", mode: "lines+markers",
        x: steps.map((step) => step.rows),
        y: steps.map((step) => 100 * step.mape),
        error_y: { type: "data", array: steps.map((step) => 100 * (step.mape_error ?? 0)), color: colour("measured"), thickness: 1.2, width: 4 },
        line: { color: colour("measured"), width: 2 }, marker: { size: 8 },
        text: steps.map((step) => `${step.rows} rows<br>mean error ${percent(step.mape, 3)} ± ${percent(step.mape_error, 2)}<br>Spearman ${step.spearman?.toFixed(3) ?? "–"}`),
        hovertemplate: "%{text}<extra></extra>",
      },
    ],
    layout: { xaxis: axis("rows learned from"), yaxis: axis("mean error (%)", { rangemode: "tozero" }), shapes: marks },
  });
  return place.node;
}
