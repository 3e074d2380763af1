// A subnet: its architecture, what each layer costs, predicted against measured, and its file.

import { get } from "../api.js";
import { layerChart } from "../charts/layer_chart.js";
import { element, heading, labelled, replaceContent } from "../elements.js";
import { formatSpread, formatValue, metricLabel, moment, number, percent } from "../metrics.js";
import { loadNames, supernetLink, targetLink } from "../names.js";
import { archDrawing } from "../parts/arch_drawing.js";
import { dataTable } from "../parts/data_table.js";
import { exportPanel } from "../parts/export_panel.js";
import { problemNote } from "../parts/problem_note.js";

export async function draw({ id, query, signal, setQuery }) {
  const [names, subnet] = await Promise.all([loadNames({ signal }), get(`/v1/subnets/${id}`, {}, { signal })]);
  const supernet = names.supernets.find((row) => row.id === subnet.supernet) ?? (await get(`/v1/supernets/${subnet.supernet}`, {}, { signal }));
  const onTargets = [...new Set(subnet.measurements.map((row) => row.target).filter(Boolean))];
  const choices = [...onTargets, ...names.targets.map((row) => row.id).filter((each) => !onTargets.includes(each))];
  let target = choices.includes(query.get("target")) ? query.get("target") : choices[0] ?? null;
  const layersPlace = element("div", { class: "stack" });
  const comparePlace = element("div");
  const chart = layerChart();
  const fill = async () => {
    try {
      const layers = await get(`/v1/subnets/${id}/layers`, { target }, { signal });
      replaceContent(comparePlace, compareTable(subnet, layers.predicted, target, names));
      replaceContent(layersPlace, layerSection(layers, chart));
      chart.show(layers);
    } catch (error) {
      if (error.name !== "AbortError") replaceContent(layersPlace, problemNote(error));
    }
  };
  const [file] = await Promise.all([exportPanel(subnet, supernet, signal), fill()]);
  const select = element("select", { onchange: () => { target = select.value; setQuery({ target }); fill(); } }, choices.map((each) => element("option", { value: each, selected: each === target }, names.target(each))));
  return element(
    "div",
    { class: "stack" },
    element(
      "div",
      {},
      element("div", { class: "title" }, element("h1", { class: "mono" }, subnet.id)),
      element("div", { class: "facts" },
        element("span", {}, "subnet of ", supernetLink(names, subnet.supernet)),
        Object.entries(subnet.costs).map(([name, value]) => element("span", {}, `${metricLabel(name)} `, element("b", {}, formatValue(name, value)))),
        onTargets.length > 0 && element("span", {}, "measured on ", onTargets.map((each, index) => [index > 0 && ", ", targetLink(names, each)])),
      ),
    ),
    element("section", { class: "panel" }, heading(2, "Architecture"), archDrawing(subnet.arch)),
    element(
      "div",
      { class: "grid two" },
      element("section", { class: "panel" }, heading(2, "Predicted against measured", choices.length > 1 && element("div", { class: "actions" }, labelledTarget(select))), comparePlace),
      file,
    ),
    element("section", { class: "panel" }, heading(2, target === null ? "What each layer costs" : "What each layer costs on this target"), layersPlace),
    element("section", { class: "panel" }, heading(2, "Everything measured and evaluated"), measurementTable(subnet, names)),
  );
}

function labelledTarget(select) {
  return labelled("Target", select);
}

function layerSection(layers, chart) {
  const { latency } = layers;
  const total = latency === null ? null : latency.fixed_ms + latency.layers_ms;
  return [
    latency === null
      ? element("p", { class: "quiet" }, "No latency for each layer: fewer than 8 subnets of this supernet are measured on the target. Costs are in closed form.")
      : element("p", { class: "quiet" }, `Latency as a sum over layers, fitted to ${number(latency.rows, 0)} subnets measured as a whole: ${number(latency.fixed_ms)} ms that every subnet takes (${percent(latency.fixed_ms / total, 2)}), ${number(latency.layers_ms)} ms by its layers. Parts of one network cannot be timed alone, so take them as estimates.`),
    chart.node,
    layerTable(layers),
  ];
}

function layerTable({ layers, latency }) {
  const rows = layers.map((layer, index) => ({ id: String(index), index, ...layer }));
  const size = (positions) => { const side = Math.sqrt(positions); return Number.isInteger(side) ? `${side}×${side}` : String(positions); };
  return dataTable({
    caption: "Layers",
    tall: true,
    rows,
    columns: [
      { title: "Layer", value: (row) => row.index, cell: (row) => element("span", { class: "mono" }, row.name) },
      { title: "Kind", value: (row) => row.kind },
      ...(latency === null ? [] : [{ title: "Latency (ms)", number: true, value: (row) => row.latency_ms, cell: (row) => (row.latency_ms === 0 ? "–" : number(row.latency_ms, 3)) }]),
      { title: "MACs", number: true, value: (row) => row.macs, cell: (row) => number(row.macs, 0) },
      { title: "Params", number: true, value: (row) => row.params, cell: (row) => number(row.params, 0) },
      { title: "Channels", number: true, value: (row) => row.out_channels, cell: (row) => `${row.in_channels} → ${row.out_channels}` },
      { title: "Size", number: true, value: (row) => row.out_positions, cell: (row) => `${size(row.in_positions)} → ${size(row.out_positions)}` },
      { title: "Kernel", number: true, value: (row) => row.kernel },
      { title: "Activation (MB)", number: true, value: (row) => row.activation_mb, cell: (row) => number(row.activation_mb, 3) },
    ],
  }).node;
}

function compareTable(subnet, predicted, target, names) {
  const rows = predicted.map((row) => {
    const found = subnet.measurements.find((each) => each.metric === row.metric && (row.target === null ? each.split === "validation" : each.target === row.target));
    return { id: row.metric, ...row, found: found ?? null };
  });
  if (rows.length === 0) return element("p", { class: "quiet" }, "No predictor of this supernet is fitted", target === null ? "." : ` for ${names.target(target)}.`);
  return dataTable({
    caption: "Predicted against measured",
    rows,
    columns: [
      { title: "Metric", value: (row) => metricLabel(row.metric), cell: (row) => element("a", { href: `#/predictors/${row.predictor}` }, metricLabel(row.metric)) },
      { title: "Predicted, 90 % interval", number: true, value: (row) => row.mean, cell: (row) => [formatValue(row.metric, row.mean), element("div", { class: "quiet" }, `${formatValue(row.metric, row.low, { unit: false })} to ${formatValue(row.metric, row.high, { unit: false })}`)] },
      { title: "Measured", number: true, value: (row) => row.found?.value ?? null, cell: (row) => (row.found === null ? "not yet" : `${formatValue(row.metric, row.found.value)} ± ${formatSpread(row.metric, row.found.spread)}`) },
      { title: "Error", number: true, value: (row) => (row.found === null ? null : row.mean / row.found.value - 1), cell: (row) => (row.found === null ? "–" : errorCell(row)) },
    ],
  }).node;
}

function errorCell(row) {
  const inside = row.found.value >= row.low && row.found.value <= row.high;
  return [percent(row.mean / row.found.value - 1, 2), element("br"), element("span", { class: `pill ${inside ? "good" : "warn"}` }, inside ? "inside" : "outside")];
}

function measurementTable(subnet, names) {
  return dataTable({
    caption: "Measurements and evaluations",
    rows: subnet.measurements,
    empty: "Nothing was measured or evaluated yet.",
    columns: [
      { title: "Metric", value: (row) => metricLabel(row.metric) },
      { title: "On", value: (row) => (row.target ? names.target(row.target) : row.split) },
      { title: "Value", number: true, value: (row) => row.value, cell: (row) => `${formatValue(row.metric, row.value)}${row.spread ? ` ± ${formatSpread(row.metric, row.spread)}` : ""}` },
      { title: "n", number: true, value: (row) => row.n },
      { title: "Verdict", value: (row) => row.verdict, cell: (row) => [row.verdict ?? "–", row.stale && [" ", element("span", { class: "pill warn", title: row.stale }, "stale")]] },
      { title: "Raw p50 / p90", number: true, value: (row) => row.details.raw?.p50 ?? null, cell: (row) => (row.details.raw ? `${number(row.details.raw.p50, 3)} / ${number(row.details.raw.p90, 3)}` : "–") },
      { title: "Precision", value: (row) => row.precision },
      { title: "When", value: (row) => row.created_at, cell: (row) => moment(row.created_at) },
      { title: "Statistic", value: (row) => row.statistic, cell: (row) => element("span", { class: "quiet" }, row.statistic) },
    ],
  }).node;
}
