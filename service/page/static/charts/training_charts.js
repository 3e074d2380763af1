// A training's losses by role and the accuracy of its smallest and largest subnet, as they come.

import { number, percent } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";

const TONES = ["measured", "predicted", "overlay-1", "overlay-2", "overlay-3", "overlay-4", "overlay-5"];
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon"];
const MOST_STEPS = 400; // of each curve; of more, every second is dropped

export function trainingCharts() {
  const losses = chartPlace({ named: true, label: "Loss by role against steps", empty: "No loss yet: the first comes with the first steps." });
  const accuracy = chartPlace({ named: true, label: "Accuracy on validation against steps", empty: "Not evaluated yet." });
  let rows = [];
  let timer = null;
  const draw = () => {
    timer = null;
    losses.draw(figureOf(curves(rows, "losses"), "loss", (value) => number(value, 4)));
    accuracy.draw(figureOf(curves(rows, "accuracy", 100), "accuracy (%)", (value) => percent(value / 100, 4)));
  };
  draw();
  return {
    losses: losses.node,
    accuracy: accuracy.node,
    add(metrics) {
      rows.push(metrics);
      if (rows.length > MOST_STEPS) rows = rows.filter((row, index) => index % 2 === 0 || Object.keys(row.accuracy ?? {}).length > 0 || index === rows.length - 1);
      timer ??= setTimeout(draw, 200);
    },
  };
}

function curves(rows, field, factor = 1) {
  const roles = new Map();
  for (const row of rows) {
    for (const [role, value] of Object.entries(row[field] ?? {})) {
      if (typeof value !== "number") continue;
      const curve = roles.get(role) ?? { steps: [], values: [] };
      roles.set(role, curve);
      if (curve.steps.at(-1) === row.step) continue;
      curve.steps.push(row.step);
      curve.values.push(factor * value);
    }
  }
  return roles;
}

function figureOf(roles, title, format) {
  const data = [...roles].map(([role, { steps, values }], index) => ({
    type: "scatter", mode: "lines+markers", name: role, x: steps, y: values,
    line: { color: colour(TONES[index % TONES.length]), width: 2 },
    marker: { symbol: SYMBOLS[index % SYMBOLS.length], size: 6 },
    text: steps.map((step, at) => `${role}, step ${step}<br>${format(values[at])}`),
    hovertemplate: "%{text}<extra></extra>",
  }));
  return { data, layout: { xaxis: axis("step"), yaxis: axis(title) } };
}
