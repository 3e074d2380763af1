// A limit on one metric: off, or anywhere between the smallest and the largest value that the space offers.

import { element, freshId } from "../elements.js";
import { formatValue, fromShown, metricLabel, metricOf, shownUnit, toShown } from "../metrics.js";

const STEPS = 1000;
const ROUNDED = 4; // significant digits

// `row` is a range as the profile gives it. `limit()` is null while the limit is off.
export function limitSlider({ row, on, target, asked, onChange }) {
  const { metric } = row;
  const bound = metricOf(metric).direction === "max" ? "min" : "max";
  let { low, high } = endsOf(row);
  let value = asked ?? (low + high) / 2;
  const id = freshId("limit");
  const name = `${metricLabel(metric)}${on ? ` on ${on}` : ""}`;
  const unit = shownUnit(metric);
  const box = element("input", { type: "checkbox", id, checked: asked !== null, onchange: () => { refresh(); onChange(); } });
  const range = element("input", { type: "range", min: "0", max: String(STEPS), "aria-label": `Limit of ${name}`, oninput: () => {
    value = rounded(low + (high - low) * (range.valueAsNumber / STEPS));
    box.checked = true;
    refresh();
    onChange();
  } });
  const typed = element("input", { type: "number", step: "any", min: "0", "aria-label": `${name} ${bound === "max" ? "at most" : "at least"}${unit ? `, in ${unit}` : ""}`, oninput: () => {
    if (Number.isNaN(typed.valueAsNumber)) return;
    value = fromShown(metric, typed.valueAsNumber);
    box.checked = true;
    refresh(false);
    onChange();
  } });
  const left = element("span");
  const right = element("span");
  const node = element(
    "div",
    { class: "limit", dataset: { metric, target: target ?? "" } },
    element("div", { class: "limit-head" }, element("label", { class: "choice", for: id }, box, element("b", {}, name), element("span", { class: "quiet" }, bound === "max" ? "at most" : "at least")), element("span", { class: "choice" }, typed, unit)),
    range,
    element("div", { class: "limit-ends", "aria-hidden": "true" }, left, right),
  );

  function refresh(type = true) {
    if (type) typed.value = String(Number(toShown(metric, value).toPrecision(ROUNDED)));
    range.value = String(Math.round((STEPS * (value - low)) / (high - low || 1)));
    range.setAttribute("aria-valuetext", formatValue(metric, value));
    left.textContent = formatValue(metric, low);
    right.textContent = formatValue(metric, high);
    node.style.opacity = "";
    range.style.filter = box.checked ? "" : "grayscale(1)";
  }

  refresh();
  return {
    node,
    setRange(next) { ({ low, high } = endsOf(next)); refresh(document.activeElement !== typed); },
    limit: () => (box.checked ? { metric, ...(target ? { target } : {}), [bound]: rounded(value) } : null),
  };
}

function endsOf(row) {
  const ends = [row.best, row.worst, row.smallest, row.largest];
  return { low: Math.min(...ends), high: Math.max(...ends) };
}

function rounded(value) {
  return Number(value.toPrecision(ROUNDED));
}
