// Names, units, directions and number formats of metrics, as the API defines them.

import { get } from "./api.js";

let known = null;

// Reads the definitions once; every view awaits this before it draws.
export async function loadMetrics() {
  known ??= get("/v1/metrics").then(
    (answer) => new Map((answer.items ?? answer).map((metric) => [metric.name, metric])),
    (error) => { known = null; throw error; },
  );
  definitions = await known;
}

let definitions = new Map();

export function allMetrics() {
  return [...definitions.values()];
}

// The first measured metric in the order of the API, among those given: what is searched against quality unless told
// otherwise.
export function firstMeasured(among = null) {
  return allMetrics().find((metric) => metric.source === "measured" && (among === null || among.includes(metric.name)))?.name ?? null;
}

export function metricOf(name) {
  return definitions.get(name) ?? { name, unit: "", direction: "min", source: "measured" };
}

export function metricLabel(name) {
  const unit = metricOf(name).unit.toLowerCase();
  const bare = unit && name.endsWith(`_${unit}`) ? name.slice(0, -unit.length - 1) : name;
  return bare.replaceAll("_", " ");
}

export function shownUnit(name) {
  const { unit } = metricOf(name);
  if (unit === "fraction") return "%";
  return unit === "count" ? "" : unit;
}

export function axisTitle(name) {
  const unit = shownUnit(name);
  return unit ? `${metricLabel(name)} (${unit})` : metricLabel(name);
}

// As the first word of a title.
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// The number that is drawn and typed: fractions as percentages, everything else in the metric's own unit.
export function toShown(name, value) {
  return metricOf(name).unit === "fraction" ? 100 * value : value;
}

export function fromShown(name, value) {
  return metricOf(name).unit === "fraction" ? value / 100 : value;
}

export function isBetter(name, left, right) {
  return metricOf(name).direction === "max" ? left > right : left < right;
}

export function formatValue(name, value, { unit = true, digits = 4 } = {}) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const shown = number(toShown(name, value), metricOf(name).unit === "count" ? 0 : digits);
  const suffix = shownUnit(name);
  return unit && suffix ? `${shown}\u202f${suffix}` : shown;
}

export function formatSpread(name, value) {
  return formatValue(name, value, { unit: false, digits: 2 });
}

// A number with so many significant digits; 0 asks for a whole number with separators.
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (digits === 0 && Math.abs(value) < 1e9) return Math.round(value).toLocaleString("en");
  if (value !== 0 && (Math.abs(value) >= 1e7 || Math.abs(value) < 1e-5)) return value.toExponential(2).replace("e+", "e");
  return value.toLocaleString("en", { maximumSignificantDigits: digits || 4 });
}

export function percent(share, digits = 3) {
  return share === null || share === undefined ? "–" : `${number(100 * share, digits)}\u202f%`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${number(seconds, 2)}\u202fs`;
  if (seconds < 5400) return `${Math.round(seconds / 60)}\u202fmin`;
  return `${number(seconds / 3600, 2)}\u202fh`;
}

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  if (count < 1e3) return `${count}\u202fB`;
  return count < 1e6 ? `${number(count / 1e3, 3)}\u202fkB` : `${number(count / 1e6, 3)}\u202fMB`;
}

export function moment(text) {
  if (!text) return "–";
  const date = new Date(text);
  const age = (Date.now() - date) / 1000;
  if (age < 60) return "just now";
  if (age < 3600) return `${Math.round(age / 60)} min ago`;
  if (age < 86400) return `${Math.round(age / 3600)} h ago`;
  return date.toISOString().slice(0, 10);
}

export function archText(arch) {
  return Object.entries(arch).map(([axis, choice]) => `${axis}=${choice}`).join(" ");
}
