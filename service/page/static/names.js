// Names of supernets and targets by their ids.

import { list } from "./api.js";
import { element } from "./elements.js";

export async function loadNames(options = {}) {
  const [supernets, targets] = await Promise.all([list("/v1/supernets", {}, 500, options), list("/v1/targets", {}, 500, options)]);
  return {
    supernets,
    targets,
    supernet: (id) => supernets.find((row) => row.id === id)?.name ?? id,
    target: (id) => targets.find((row) => row.id === id)?.name ?? id,
  };
}

export function supernetLink(names, id) {
  return element("a", { href: `#/supernets/${id}` }, names.supernet(id));
}

export function targetLink(names, id) {
  return element("a", { href: `#/targets/${id}` }, names.target(id));
}
