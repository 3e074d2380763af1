// Every search, newest first.

import { list } from "../api.js";
import { element } from "../elements.js";
import { metricLabel, moment, formatValue } from "../metrics.js";
import { loadNames } from "../names.js";
import { commandsPanel } from "../parts/commands.js";
import { dataTable } from "../parts/data_table.js";
import { listRequest } from "../parts/request_texts.js";
import { statePill } from "../parts/state_pill.js";

const MOST = 500;

export async function draw({ signal }) {
  const [names, searches] = await Promise.all([loadNames({ signal }), list("/v1/searches", {}, MOST, { signal })]);
  return element(
    "div",
    { class: "stack" },
    element("div", { class: "title" }, element("h1", {}, "Searches"), element("div", { class: "actions" }, element("a", { class: "button main", href: "#/searches/new" }, "New search"))),
    element("section", { class: "panel" }, searchTable(searches, names)),
    commandsPanel(listRequest("/v1/searches", ["for search in client.searches.list():", "    print(search.id, search.state, search.points)"], "search list")),
  );
}

export function searchTable(searches, names) {
  return dataTable({
    caption: "Searches",
    rows: searches,
    empty: "No search yet.",
    columns: [
      { title: "Search", value: (row) => row.created_at, cell: (row) => [element("a", { href: `#/searches/${row.id}` }, moment(row.created_at)), element("div", { class: "quiet mono" }, row.id)] },
      { title: "State", value: (row) => row.state, cell: (row) => [statePill(row.state), row.feasible === false && [" ", element("span", { class: "pill warn" }, "limits not met")]] },
      { title: "Supernet", value: (row) => names.supernet(row.supernet) },
      { title: "Targets", value: (row) => row.targets.map(names.target).join(", ") },
      { title: "Limits", wide: true, value: (row) => limitWords(row.constraints, names) || "none" },
      { title: "Points", number: true, value: (row) => row.points },
      { title: "Evaluations", number: true, value: (row) => row.evaluations.done, cell: (row) => `${row.evaluations.done} of ${row.evaluations.budget}` },
      { title: "Labels", value: (row) => labelWords(row), cell: (row) => labelWords(row) || "–" },
    ],
  }).node;
}

function labelWords(row) {
  return Object.entries(row.labels).map(([name, value]) => `${name}=${value}`).join(", ");
}

export function limitWords(constraints, names) {
  return constraints
    .flatMap((limit) => {
      const of = limit.target ? ` on ${names.target(limit.target)}` : "";
      const label = metricLabel(limit.metric);
      return [limit.max !== null && `${label}${of} ≤ ${formatValue(limit.metric, limit.max)}`, limit.min !== null && `${label}${of} ≥ ${formatValue(limit.metric, limit.min)}`].filter(Boolean);
    })
    .join(", ");
}
