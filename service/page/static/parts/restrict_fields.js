// Which choices of each kind of axis a search may take.

import { element } from "../elements.js";

export function restrictFields(space, onChange) {
  const kinds = new Map();
  for (const axis of space.axes) {
    const known = kinds.get(axis.kind) ?? new Set();
    for (const choice of axis.choices) known.add(choice);
    kinds.set(axis.kind, known);
  }
  const off = new Map();
  const tell = () => {
    const restrict = {};
    for (const [kind, left] of off) if (left.size > 0) restrict[kind] = [...kinds.get(kind)].filter((choice) => !left.has(choice));
    onChange(restrict);
  };
  return [...kinds].filter(([, choices]) => choices.size > 1).map(([kind, choices]) => {
    off.set(kind, new Set());
    const boxes = [...choices].map((choice) => {
      const box = element("input", { type: "checkbox", checked: true, onchange: () => {
        if (box.checked) off.get(kind).delete(choice);
        else off.get(kind).add(choice);
        tell();
      } });
      return element("label", { class: "choice" }, box, String(choice));
    });
    return element("fieldset", {}, element("legend", {}, `Allowed ${kind.replaceAll("_", " ")}`), element("div", { class: "choices" }, boxes));
  });
}
