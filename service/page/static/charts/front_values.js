// The values of a point of a front that a chart or a table shows.

import { metricOf } from "../metrics.js";

// {value, spread} of a metric: quality on validation, which chose the front; a measurement (of the worst target
// where none is named); or a closed form. Null where it is not known.
export function measuredValue(point, metric, target = null) {
  const { source } = metricOf(metric);
  if (point.costs[metric] !== undefined && source === "closed_form") return { value: point.costs[metric], spread: 0 };
  if (source === "evaluated") {
    const found = point.validation?.metric === metric ? point.validation : null;
    return found && { value: found.value, spread: found.standard_error };
  }
  const rows = point.measured.filter((row) => row.metric === metric && (target === null || row.target === target));
  return worst(rows, (row) => row.value, metric);
}

export function predictedValue(point, metric, target = null) {
  const rows = point.predicted.filter((row) => row.metric === metric && (target === null || row.target === null || row.target === target));
  return worst(rows, (row) => row.mean, metric);
}

function worst(rows, value, metric) {
  if (rows.length === 0) return null;
  const sign = metricOf(metric).direction === "max" ? -1 : 1;
  return rows.reduce((left, right) => (sign * value(right) > sign * value(left) ? right : left));
}

// Every metric that some point has a true value of.
export function metricsOf(points) {
  const names = new Set();
  for (const point of points) {
    if (point.validation) names.add(point.validation.metric);
    for (const row of point.measured) names.add(row.metric);
    for (const name of Object.keys(point.costs)) names.add(name);
  }
  return [...names];
}
