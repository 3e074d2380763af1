// Latency of the reference network in each run, over that of the calibration.

import { number } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";

export function driftChart(target) {
  const place = chartPlace({ label: "Drift of the reference network, run by run", size: "short", empty: "No run since the calibration yet." });
  const runs = target.drifts.map((_, index) => index + 1);
  place.draw({
    data: [
      {
        type: "scatter", mode: "lines+markers", x: runs, y: target.drifts,
        line: { color: colour("measured"), width: 2 }, marker: { size: 8 },
        text: target.drifts.map((drift, index) => `run ${index + 1} of the last ${target.drifts.length}<br>${number(drift, 3)} times the calibration`),
        hovertemplate: "%{text}<extra></extra>",
      },
    ],
    layout: {
      xaxis: axis("run, oldest first", { dtick: 1 }),
      yaxis: axis("over calibration"),
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 1, y1: 1, line: { color: colour("line-strong"), dash: "dash", width: 1.5 } }],
    },
  });
  return place;
}
