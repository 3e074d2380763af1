// Which other fronts are drawn over that of a search: earlier searches of the supernet, and everything stored on a target.

import { list } from "../api.js";
import { element } from "../elements.js";
import { moment } from "../metrics.js";

const MOST_OVERLAYS = 5;

export function overlayPicker({ search, names, chosen, onChange }) {
  const place = element("div", { class: "choices" }, element("span", { class: "quiet" }, "Loading …"));
  const selected = new Set(chosen);
  const node = element("details", { class: "panel", open: chosen.length > 0 }, element("summary", {}, "Draw other targets or earlier searches over it"), element("p", { class: "quiet" }, `At most ${MOST_OVERLAYS}; each has a shape and colour of its own.`), place);
  let filled = false;
  const fill = async () => {
    if (filled) return;
    filled = true;
    const searches = await list("/v1/searches", { supernet: search.supernet, state: "succeeded" }, 30);
    const options = [
      ...names.targets.map((target) => [`target:${target.id}`, `${target.name}, best of all searches`]),
      ...searches.filter((row) => row.id !== search.id && row.points > 0).map((row) => [`search:${row.id}`, `search ${moment(row.created_at)} on ${row.targets.map(names.target).join(", ")}`]),
    ];
    place.replaceChildren(...options.map(([key, text]) => choice(key, text)));
    limit();
  };
  const choice = (key, text) => {
    const box = element("input", { type: "checkbox", value: key, checked: selected.has(key), onchange: () => {
      if (box.checked) selected.add(key);
      else selected.delete(key);
      limit();
      onChange([...selected]);
    } });
    return element("label", { class: "choice" }, box, text);
  };
  const limit = () => {
    for (const box of place.querySelectorAll("input")) box.disabled = !box.checked && selected.size >= MOST_OVERLAYS;
  };
  node.addEventListener("toggle", fill);
  if (chosen.length > 0) fill();
  return node;
}
