// The points of a front as a table that sorts, filters and follows the selection.

import { element, labelled } from "../elements.js";
import { archText, formatSpread, formatValue, isBetter, metricLabel, metricOf, shownUnit, fromShown } from "../metrics.js";
import { measuredValue, metricsOf, predictedValue } from "../charts/front_values.js";
import { dataTable } from "./data_table.js";

export function frontTable({ points, objectives, target, onChoose, chosen, marks, onFilter }) {
  const metrics = [...objectives, ...metricsOf(points).filter((name) => !objectives.includes(name))];
  const rows = points.map((point) => ({ id: point.subnet, point }));
  const table = dataTable({
    caption: "Subnets of the front",
    rows,
    chosen,
    tall: true,
    onChoose,
    empty: "No subnet within these filters.",
    columns: [
      { title: "Subnet", value: ({ point }) => point.subnet, cell: ({ point }) => subnetCell(point, target, marks) },
      ...metrics.map((name) => metricColumn(name, target)),
      ...objectives.filter((name) => metricOf(name).source !== "closed_form").map((name) => predictedColumn(name, target)),
      { title: "Test", number: true, value: ({ point }) => point.quality?.value ?? null, cell: ({ point }) => (point.quality ? `${formatValue(point.quality.metric, point.quality.value)} ± ${formatSpread(point.quality.metric, point.quality.standard_error)}` : "–") },
      { title: "Verdict", value: ({ point }) => verdictOf(point, target), cell: ({ point }) => verdictOf(point, target) ?? "–" },
      { title: "Architecture", sortable: false, cell: ({ point }) => element("span", { class: "mono quiet" }, archText(point.arch)) },
    ],
  });
  const filters = filterFields(objectives, (bounds) => {
    const kept = rows.filter(({ point }) => Object.entries(bounds).every(([name, bound]) => {
      const found = measuredValue(point, name, target);
      return found !== null && (found.value === bound || isBetter(name, found.value, bound));
    }));
    table.setRows(kept);
    onFilter(kept.map(({ point }) => point));
  });
  return { node: element("div", { class: "stack" }, filters, table.node), choose: table.choose };
}

function subnetCell(point, target, marks) {
  const tags = Object.entries(marks).filter(([, subnet]) => subnet === point.subnet).map(([name]) => element("span", { class: `pill ${name === "best" ? "good" : "warn"}` }, name));
  return [element("a", { href: `#/subnets/${point.subnet}${target ? `?target=${target}` : ""}` }, point.subnet), " ", tags];
}

function metricColumn(name, target) {
  const unit = shownUnit(name);
  return {
    title: unit ? `${metricLabel(name)} (${unit})` : metricLabel(name),
    number: true,
    value: ({ point }) => measuredValue(point, name, target)?.value ?? null,
    cell: ({ point }) => {
      const found = measuredValue(point, name, target);
      if (found === null) return "–";
      const spread = found.spread ? ` ± ${formatSpread(name, found.spread)}` : "";
      return `${formatValue(name, found.value, { unit: false })}${spread}`;
    },
  };
}

function predictedColumn(name, target) {
  return {
    title: `${metricLabel(name)} predicted`,
    number: true,
    value: ({ point }) => predictedValue(point, name, target)?.mean ?? null,
    cell: ({ point }) => {
      const found = predictedValue(point, name, target);
      return found === null ? "–" : `${formatValue(name, found.mean, { unit: false })} (${formatValue(name, found.low, { unit: false })} to ${formatValue(name, found.high, { unit: false })})`;
    },
  };
}

function verdictOf(point, target) {
  const found = point.measured.filter((row) => target === null || row.target === target).map((row) => row.verdict).filter(Boolean);
  return [...new Set(found)].join(", ") || null;
}

function filterFields(objectives, onChange) {
  const bounds = {};
  const fields = objectives.map((name) => {
    const up = metricOf(name).direction === "max";
    const input = element("input", { type: "number", step: "any", oninput: () => {
      if (input.value === "" || Number.isNaN(input.valueAsNumber)) delete bounds[name];
      else bounds[name] = fromShown(name, input.valueAsNumber);
      onChange(bounds);
    } });
    const unit = shownUnit(name);
    return labelled(`${metricLabel(name)} ${up ? "at least" : "at most"}${unit ? ` (${unit})` : ""}`, input);
  });
  return element("div", { class: "fields", role: "group", "aria-label": "Filter the table" }, fields);
}
