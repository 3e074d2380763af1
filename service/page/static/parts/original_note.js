// The network that a converted supernet was made from, in words: quality and measured values beside a front.

import { element } from "../elements.js";
import { formatSpread, formatValue, metricLabel, metricOf } from "../metrics.js";

// `original` is that of a front, or null; `targets` are the ids of the targets whose values are wanted.
export function originalNote({ original, objectives, target, targets, names }) {
  if (!original) return null;
  const wanted = target ? [target] : targets;
  const words = [...qualityWords(original), ...costWords(original)];
  const missing = [];
  for (const id of wanted) {
    const rows = original.measured.filter((row) => row.target === id);
    words.push(...rows.filter((row) => objectives.includes(row.metric)).map((row) => `${metricLabel(row.metric)} ${spreadWords(row.metric, row.value, row.spread)} on ${names.target(id)}`));
    if (objectives.some((name) => metricOf(name).source === "measured" && !rows.some((row) => row.metric === name))) missing.push(id);
  }
  const name = original.subnet ? element("a", { href: `#/subnets/${original.subnet}${target ? `?target=${target}` : ""}` }, "The original") : "The original";
  return element("p", { id: "original" }, name, `, as it came: ${words.join("; ")}.`, missing.map((id) => [" It is not measured on ", element("a", { href: `#/targets/${id}` }, names.target(id)), " yet."]));
}

function qualityWords({ validation, quality }) {
  return [validation, quality].filter(Boolean).map((found) => `${metricLabel(found.metric)} ${spreadWords(found.metric, found.value, found.standard_error)} on ${found.split}`);
}

function costWords({ costs }) {
  return Object.entries(costs).map(([name, value]) => `${metricLabel(name)} ${formatValue(name, value)}`);
}

function spreadWords(metric, value, spread) {
  return spread ? `${formatValue(metric, value)} ± ${formatSpread(metric, spread)}` : formatValue(metric, value);
}
