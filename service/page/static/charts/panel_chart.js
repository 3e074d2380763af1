// Quality of the subnets of a report card against their MACs.

import { archText, axisTitle, formatValue, metricLabel, number, toShown } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";

export function panelChart(supernet) {
  const rows = (supernet.report?.panel ?? []).filter((row) => row.macs > 0);
  const { quality } = supernet;
  const place = chartPlace({ named: true, label: `${metricLabel(quality)} against MACs of the panel`, empty: "This supernet has no panel." });
  const splits = [["validation", "circle", "measured"], ["test", "diamond-open", "predicted"]];
  const valueOf = (row, split) => {
    const found = row[split];
    return found ? { value: found.value, spread: found.standard_error } : null;
  };
  const data = splits.map(([split, symbol, tone]) => {
    const known = rows.map((row) => [row, valueOf(row, split)]).filter(([, found]) => found !== null);
    return {
      type: "scatter", mode: "markers", name: split,
      x: known.map(([row]) => row.macs),
      y: known.map(([, found]) => toShown(quality, found.value)),
      error_y: { type: "data", array: known.map(([, found]) => toShown(quality, found.spread ?? 0)), color: colour(tone), thickness: 1, width: 2 },
      marker: { symbol, size: 9, color: colour(tone) },
      text: known.map(([row, found]) => `${metricLabel(quality)} on ${split} ${formatValue(quality, found.value)}<br>${number(row.macs, 0)} MACs<br>${archText(row.arch).replaceAll(" ", "<br>").split("<br>").slice(0, 6).join("<br>")}`),
      hovertemplate: "%{text}<extra></extra>",
    };
  }).filter((trace) => trace.x.length > 0);
  place.draw({ data, layout: { xaxis: axis("MACs", { type: "log" }), yaxis: axis(axisTitle(quality)) } });
  return place;
}
