// A table whose columns sort when their heading is pressed.

import { element } from "../elements.js";

// `columns` are {title, value(row) for sorting, cell(row) for showing, number, wide}; `rows` anything with an `id`.
export function dataTable({ columns, rows, caption, onChoose = null, chosen = null, tall = false, empty = "Nothing here yet." }) {
  let order = { column: null, up: true };
  let shown = [...rows];
  let current = chosen;
  const body = element("tbody");
  const heads = columns.map((column) => headCell(column, () => sortBy(column)));
  const table = element(
    "table",
    {},
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", {}, element("tr", {}, heads)),
    body,
  );
  const node = element("div", { class: `scroll${tall ? " tall" : ""}`, tabindex: "0", role: "region", "aria-label": caption }, table);

  function sortBy(column) {
    order = { column, up: order.column === column ? !order.up : true };
    fill();
  }

  function fill() {
    const sorted = order.column === null ? shown : [...shown].sort((left, right) => compare(order.column.value(left), order.column.value(right)) * (order.up ? 1 : -1));
    heads.forEach((head, index) => {
      const mine = columns[index] === order.column;
      head.setAttribute("aria-sort", mine ? (order.up ? "ascending" : "descending") : "none");
      const mark = head.querySelector(".sort-mark");
      if (mark) mark.textContent = mine ? (order.up ? " ▲" : " ▼") : "";
    });
    if (sorted.length === 0) {
      body.replaceChildren(element("tr", {}, element("td", { colspan: columns.length, class: "quiet" }, empty)));
      return;
    }
    body.replaceChildren(...sorted.map(rowOf));
  }

  function rowOf(row) {
    const cells = columns.map((column) => element("td", { class: [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ") || null }, column.cell ? column.cell(row) : column.value(row)));
    const line = element("tr", { dataset: { id: row.id } }, cells);
    if (row.id === current) line.classList.add("chosen");
    if (onChoose !== null) {
      line.classList.add("clickable");
      line.tabIndex = 0;
      line.addEventListener("keydown", (event) => chooseByKey(event, line));
      line.addEventListener("click", (event) => { if (!event.target.closest("a, button")) onChoose(row.id); });
    }
    return line;
  }

  // Enter selects a row, the arrows go to its neighbours.
  function chooseByKey(event, line) {
    if (event.target !== line) return;
    const next = { ArrowDown: line.nextElementSibling, ArrowUp: line.previousElementSibling }[event.key];
    if (next) next.focus();
    else if (["Enter", " "].includes(event.key)) onChoose(line.dataset.id);
    else return;
    event.preventDefault();
  }

  fill();
  return {
    node,
    setRows(next) { shown = [...next]; fill(); },
    choose(id, scroll = true) {
      current = id;
      for (const line of body.children) line.classList.toggle("chosen", line.dataset.id === id);
      const line = [...body.children].find((each) => each.dataset.id === id);
      if (line && scroll) scrollWithin(node, line);
    },
  };
}

function scrollWithin(box, line) {
  const top = line.offsetTop - box.offsetTop;
  if (line.offsetTop < box.scrollTop + 40 || line.offsetTop + line.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, top - box.clientHeight / 2);
}

function headCell(column, onSort) {
  const sortable = column.value !== undefined && column.sortable !== false;
  const mark = element("span", { class: "sort-mark", "aria-hidden": "true" });
  const content = sortable ? element("button", { type: "button", onclick: onSort }, column.title, mark) : column.title;
  return element("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": sortable ? "none" : null }, content);
}

function compare(left, right) {
  if (left === right) return 0;
  if (left === null || left === undefined || Number.isNaN(left)) return 1;
  if (right === null || right === undefined || Number.isNaN(right)) return -1;
  return typeof left === "number" ? left - right : String(left).localeCompare(String(right));
}

export function factsTable(pairs, caption) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element(
    "table",
    { class: "facts-table" },
    caption && element("caption", { class: "visually-hidden" }, caption),
    element("tbody", {}, rows.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)))),
  );
}
