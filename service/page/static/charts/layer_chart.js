// What each layer costs: a bar for each, latency on a target where it is known, else MACs.

import { number } from "../metrics.js";
import { colour } from "../parts/theme.js";
import { axis, chartPlace } from "./plotly.js";

export function layerChart() {
  const place = chartPlace({ named: true, label: "Cost of each layer; the table below has the same values" });
  return { node: place.node, show: (view) => place.draw(figureOf(view)) };
}

function figureOf({ layers, latency }) {
  const timed = latency !== null;
  const rows = layers.filter((layer) => (timed ? layer.latency_ms > 0 : layer.macs > 0));
  const kinds = [...new Set(layers.map((layer) => layer.kind))];
  const tones = ["measured", "predicted", "overlay-1", "overlay-2", "overlay-3", "overlay-4", "overlay-5"];
  const data = kinds.map((kind, index) => {
    const mine = rows.filter((layer) => layer.kind === kind);
    return {
      type: "bar", name: kind,
      x: mine.map((layer) => layer.name),
      y: mine.map((layer) => (timed ? layer.latency_ms : layer.macs)),
      marker: { color: colour(tones[index % tones.length]) },
      text: mine.map((layer) => `${layer.name} (${layer.kind})<br>${timed ? `${number(layer.latency_ms, 3)} ms<br>` : ""}${number(layer.macs, 0)} MACs, ${number(layer.params, 0)} params<br>${layer.in_channels} to ${layer.out_channels} channels, kernel ${layer.kernel}, stride ${layer.stride}`),
      textposition: "none",
      hovertemplate: "%{text}<extra></extra>",
    };
  }).filter((trace) => trace.x.length > 0);
  return {
    data,
    layout: {
      xaxis: axis("", { categoryorder: "array", categoryarray: layers.map((layer) => layer.name), tickangle: -45, tickfont: { size: 10 } }),
      yaxis: axis(timed ? "latency (ms)" : "MACs"),
      bargap: 0.15,
    },
  };
}
