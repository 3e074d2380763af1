// Predicted against measured values of held-out rows, with the 90 % interval of each and the diagonal.

import { axisTitle, formatValue, toShown } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";

export function agreementChart(predictor) {
  const { points } = predictor.report;
  const { metric } = predictor;
  const shown = (name) => points.map((point) => toShown(metric, point[name]));
  const measured = shown("measured");
  const predicted = shown("predicted");
  const ends = [Math.min(...measured, ...predicted), Math.max(...measured, ...predicted)];
  const outside = points.map((point) => point.measured < point.lower || point.measured > point.upper);
  const place = chartPlace({ named: true, label: "Predicted against measured values of held-out subnets" });
  const trace = (kept, name, symbol, tone) => {
    const at = points.map((_, index) => index).filter(kept);
    return {
      type: "scatter", mode: "markers", name,
      x: at.map((index) => measured[index]),
      y: at.map((index) => predicted[index]),
      marker: { symbol, size: 8, color: colour(tone), line: { width: 1.5, color: colour(tone) } },
      error_y: {
        type: "data", symmetric: false, color: colour(tone), thickness: 1, width: 0,
        array: at.map((index) => Math.max(toShown(metric, points[index].upper) - predicted[index], 0)),
        arrayminus: at.map((index) => Math.max(predicted[index] - toShown(metric, points[index].lower), 0)),
      },
      text: at.map((index) => `measured ${formatValue(metric, points[index].measured)}<br>predicted ${formatValue(metric, points[index].predicted)}<br>90 % ${formatValue(metric, points[index].lower, { unit: false })} to ${formatValue(metric, points[index].upper)}`),
      hovertemplate: "%{text}<extra></extra>",
    };
  };
  place.draw({
    data: [
      { type: "scatter", mode: "lines", x: ends, y: ends, line: { color: colour("line-strong"), dash: "dash", width: 1.5 }, hoverinfo: "skip", name: "equal" },
      trace((index) => !outside[index], "inside the interval", "circle", "measured"),
      trace((index) => outside[index], "outside the interval", "x", "limit"),
    ].filter((each) => each.x.length > 0),
    layout: { xaxis: axis(`measured ${axisTitle(metric)}`), yaxis: axis(`predicted ${axisTitle(metric)}`) },
  });
  return place.node;
}
