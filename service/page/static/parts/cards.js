// Supernets, targets and predictors at a glance.

import { element } from "../elements.js";
import { formatSpread, formatValue, metricLabel, number, percent } from "../metrics.js";

export function supernetCard(row, predictors) {
  const splits = row.data?.splits ?? {};
  const ends = row.report?.summary?.test;
  return element(
    "article",
    { class: "panel card", dataset: { supernet: row.id } },
    element("h3", {}, element("a", { href: `#/supernets/${row.id}` }, row.name), " ", element("span", { class: "pill" }, row.source)),
    element("div", { class: "quiet" }, `${row.family} · ${number(row.space_size, 3)} subnets · ${row.classes.length} classes`),
    row.data?.name && element("div", {}, `data ${row.data.name}: `, Object.entries(splits).map(([name, split]) => `${number(split.n, 0)} ${name}`).join(", ")),
    ends && element("div", {}, `${metricLabel(row.quality)} on test: `, element("b", {}, `${qualityOf(row, ends.smallest)} to ${qualityOf(row, ends.largest)}`), element("span", { class: "quiet" }, " (smallest to largest)")),
    predictors.slice(0, 1).map(predictorLine),
    element("div", { class: "actions" }, row.source !== "table" && element("a", { class: "button small", href: `#/searches/new?supernet=${row.id}` }, "Search"), element("a", { class: "button small plain", href: `#/supernets/${row.id}` }, "Report card")),
  );
}

function qualityOf(row, end) {
  return end ? formatValue(row.quality, end.value) : "–";
}

export function targetCard(row, predictors, names) {
  const newest = newestBySupernet(predictors);
  return element(
    "article",
    { class: "panel card", dataset: { target: row.id } },
    element("h3", {}, element("a", { href: `#/targets/${row.id}` }, row.name), " ", element("span", { class: "pill" }, row.kind), " ", row.stale && element("span", { class: "pill warn", title: row.stale }, "stale"), " ", agentsPill(row)),
    element("div", { class: "quiet" }, deviceWords(row)),
    element("div", {}, settingsWords(row)),
    newest.map((predictor) => element("div", {}, element("span", { class: "quiet" }, `${names.supernet(predictor.supernet)}: `), predictorLine(predictor))),
    newest.length === 0 && element("div", { class: "quiet" }, "No predictor yet: measure subnets on it, then fit one."),
    element("div", { class: "actions" }, element("a", { class: "button small", href: `#/targets/${row.id}` }, "Report card")),
  );
}

function newestBySupernet(predictors) {
  const seen = new Set();
  return predictors.filter((row) => {
    const key = `${row.supernet} ${row.metric}`;
    return !seen.has(key) && seen.add(key);
  });
}

function agentsPill(row) {
  if (row.kind !== "agent") return null;
  const connected = row.agents.filter((agent) => agent.connected).length;
  return element("span", { class: `pill ${connected ? "good" : "warn"}` }, connected ? `${connected} connected` : "no agent connected");
}

export function deviceWords(row) {
  const { device = {}, runtime = {} } = row.description ?? {};
  const parts = [device.cpu ?? device.device ?? device.name, device.cores && `${device.cores} cores`, device.memory_gb && `${number(device.memory_gb, 3)} GB`, runtime.name && `${runtime.name} ${runtime.version ?? ""}`.trim()];
  return parts.filter((part) => typeof part === "string" && part).join(" · ") || "device not known yet";
}

export function settingsWords(row) {
  return Object.entries(row.settings).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(" · ");
}

// One line with the figures by which a predictor is judged.
export function predictorLine(row) {
  const card = row.report ?? {};
  const figures = [
    ["Spearman", card.spearman, (value) => number(value, 3)],
    ["median error", card.median_ape, (value) => percent(value, 2)],
    ["90 % interval covers", card.coverage90, (value) => percent(value, 2)],
  ].filter(([, value]) => typeof value === "number");
  return element(
    "span",
    {},
    element("a", { href: `#/predictors/${row.id}` }, `${metricLabel(row.metric)} predictor`),
    row.stale && [" ", element("span", { class: "pill warn", title: row.stale }, "stale")],
    ` ${figures.length === 0 ? "" : figures.map(([name, value, format]) => `${name} ${format(value)}`).join(", ")} `,
    element("span", { class: "quiet" }, `(${row.kind}, ${number(row.rows, 0)} rows)`),
  );
}

export function spreadWords(metric, value, spread) {
  return spread ? `${formatValue(metric, value)} ± ${formatSpread(metric, spread)}` : formatValue(metric, value);
}
