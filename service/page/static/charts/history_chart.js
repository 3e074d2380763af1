// How the hypervolume of a search's front grew with evaluations.

import { number } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";

export function historyChart(search, names) {
  const place = chartPlace({ named: true, label: "Hypervolume of the front after each round", size: "short", empty: "No round has ended yet." });
  const draw = (view) => place.draw(figureOf(view, names));
  draw(search);
  return { node: place.node, update: draw };
}

function figureOf(search, names) {
  const scopes = [...new Set(search.history.map((row) => row.target))];
  const data = scopes.map((scope, index) => {
    const rows = search.history.filter((row) => row.target === scope);
    const name = scope === null ? "front" : names.target(scope);
    return {
      type: "scatter", mode: "lines+markers", name,
      x: rows.map((row) => row.evaluations),
      y: rows.map((row) => row.hypervolume),
      line: { color: colour(index === 0 ? "measured" : `overlay-${index}`), width: 2 },
      marker: { symbol: ["circle", "square", "diamond", "triangle-up"][index % 4], size: 7 },
      text: rows.map((row) => `${name}<br>${row.evaluations} evaluations, ${number(row.seconds, 3)} s<br>hypervolume ${number(row.hypervolume)}`),
      hovertemplate: "%{text}<extra></extra>",
    };
  });
  return { data, layout: { xaxis: axis("evaluations"), yaxis: axis("hypervolume", { rangemode: "tozero" }) } };
}
