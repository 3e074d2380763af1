// A training's losses by role and the quality of its smallest and largest subnet, as they come.

import { axisTitle, formatValue, number, toShown } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";

const TONES = ["measured", "predicted", "overlay-1", "overlay-2", "overlay-3", "overlay-4", "overlay-5"];
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon"];
const MOST_STEPS = 400; // of each curve; of more, every second is dropped

export function trainingCharts() {
  const losses = chartPlace({ named: true, label: "Loss by role against steps", empty: "No loss yet: the first comes with the first steps." });
  const quality = chartPlace({ named: true, label: "Quality on validation against steps", empty: "Not evaluated yet: quality follows the losses." });
  let rows = [];
  let timer = null;
  const draw = () => {
    timer = null;
    const metric = rows.at(-1)?.metric ?? "";
    losses.draw(figureOf(curves(rows, "losses"), "loss", (value) => value, (value) => number(value)));
    quality.draw(figureOf(curves(rows, "quality"), axisTitle(metric), (value) => toShown(metric, value), (value) => formatValue(metric, value)));
  };
  draw();
  return {
    losses: losses.node,
    quality: quality.node,
    add(metrics) {
      rows.push(metrics);
      if (rows.length > MOST_STEPS) rows = rows.filter((row, index) => index % 2 === 0 || Object.keys(row.quality ?? {}).length > 0 || index === rows.length - 1);
      timer ??= setTimeout(draw, 200);
    },
  };
}

function curves(rows, field) {
  const roles = new Map();
  for (const row of rows) {
    for (const [role, value] of Object.entries(row[field] ?? {})) {
      if (typeof value !== "number") continue;
      const curve = roles.get(role) ?? { steps: [], values: [] };
      roles.set(role, curve);
      if (curve.steps.at(-1) === row.step) continue;
      curve.steps.push(row.step);
      curve.values.push(value);
    }
  }
  return roles;
}

function figureOf(roles, title, shown, format) {
  const data = [...roles].map(([role, { steps, values }], index) => ({
    type: "scatter", mode: "lines+markers", name: role, x: steps, y: values.map(shown),
    line: { color: colour(TONES[index % TONES.length]), width: 2 },
    marker: { symbol: SYMBOLS[index % SYMBOLS.length], size: 6 },
    text: steps.map((step, at) => `${role}, step ${step}<br>${format(values[at])}`),
    hovertemplate: "%{text}<extra></extra>",
  }));
  return { data, layout: { xaxis: axis("step"), yaxis: axis(title) } };
}
