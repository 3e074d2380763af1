// The same limit on several devices, side by side: the best subnet that each has, and their fronts in one chart.

import { get } from "../api.js";
import { compareChart } from "../charts/compare_chart.js";
import { element, heading, labelled, replaceContent } from "../elements.js";
import { firstMeasured, formatSpread, formatValue, metricLabel, metricOf, number } from "../metrics.js";
import { loadNames } from "../names.js";
import { measuredValue } from "../charts/front_values.js";
import { commandsPanel, shellWord } from "../parts/commands.js";
import { dataTable } from "../parts/data_table.js";
import { limitSlider } from "../parts/limit_slider.js";
import { problemNote } from "../parts/problem_note.js";

const MOST_POINTS = 150;
const PAUSE = 250;

export async function draw({ query, signal, setQuery }) {
  const names = await loadNames({ signal });
  if (names.supernets.length === 0 || names.targets.length === 0) {
    return element("div", { class: "stack" }, element("h1", {}, "Compare devices"), element("p", {}, "There is nothing to compare yet. ", element("a", { href: "#/" }, "What to do first")));
  }
  const view = new Comparison(names, query, signal, setQuery);
  await view.load();
  return view.node;
}

class Comparison {
  constructor(names, query, signal, setQuery) {
    Object.assign(this, { names, signal, setQuery });
    const asked = (query.get("targets") ?? "").split(",");
    this.supernet = names.supernets.find((row) => row.id === query.get("supernet")) ?? names.supernets[0];
    this.targets = names.targets.filter((row) => asked.includes(row.id)).map((row) => row.id);
    if (this.targets.length === 0) this.targets = names.targets.slice(0, 6).map((row) => row.id);
    // The metric that is compared: that of a limit in the address, or else the first that the targets measure.
    const given = [...query.keys()].map((name) => /^(?:max|min)_(.+)$/.exec(name)?.[1]).find((name) => name !== undefined);
    this.metric = given ?? firstMeasured(names.targets.filter((row) => this.targets.includes(row.id)).flatMap((row) => row.metrics));
    this.asked = Number(query.get(this.limitName()) ?? NaN);
    this.chart = compareChart();
    this.limitPlace = element("div");
    this.tablePlace = element("div");
    this.commandsPlace = element("div");
    this.problem = element("div");
    this.node = this.build();
  }

  build() {
    const supernet = element("select", { onchange: () => { this.supernet = this.names.supernets.find((row) => row.id === supernet.value); this.slider = null; this.load(); } }, this.names.supernets.map((row) => element("option", { value: row.id, selected: row === this.supernet }, row.name)));
    const boxes = this.names.targets.map((row) => {
      const box = element("input", { type: "checkbox", value: row.id, checked: this.targets.includes(row.id), onchange: () => { this.targets = boxes.map((label) => label.firstChild).filter((each) => each.checked).map((each) => each.value); this.load(); } });
      return element("label", { class: "choice" }, box, row.name);
    });
    return element(
      "div",
      { class: "stack" },
      element("h1", {}, "Compare devices"),
      element("section", { class: "panel stack" }, element("div", { class: "fields" }, labelled("Supernet", supernet), element("fieldset", {}, element("legend", {}, "Targets"), element("div", { class: "choices" }, boxes))), this.limitPlace),
      this.problem,
      element("section", { class: "panel" }, heading(2, "The best subnet of each device within the limit"), this.tablePlace),
      element("section", { class: "panel" }, heading(2, "Their fronts, over all searches"), this.chart.node),
      this.commandsPlace,
    );
  }

  // The name of the limit in addresses, the API and the client: `max_` or `min_` and the metric.
  limitName() {
    return `${metricOf(this.metric).direction === "max" ? "min" : "max"}_${this.metric}`;
  }

  limit() {
    const limit = this.slider?.limit();
    return limit?.max ?? limit?.min ?? null;
  }

  async load() {
    try {
      const limit = this.limit();
      const front = (target, more) => get("/v1/fronts", { supernet: this.supernet.id, target, ...more }, { signal: this.signal });
      const [fronts, picks] = await Promise.all([
        Promise.all(this.targets.map((target) => front(target, { max_points: MOST_POINTS }))),
        Promise.all(this.targets.map((target) => front(target, { pick: "best", [this.limitName()]: limit }))),
      ]);
      this.problem.replaceChildren();
      const [quality] = fronts[0]?.objectives ?? [this.supernet.quality];
      if (this.fillSlider(fronts)) {
        await this.load();
        return;
      }
      this.fillTable(picks, quality);
      this.chart.show({ fronts, targets: this.targets, names: this.names, x: this.metric, y: quality, limit });
      this.say(limit);
    } catch (error) {
      if (error.name !== "AbortError") this.problem.replaceChildren(problemNote(error));
    }
  }

  // The slider spans what the fronts span; true if it is new and set.
  fillSlider(fronts) {
    const values = fronts.flatMap((front, index) => front.points.map((point) => measuredValue(point, this.metric, this.targets[index])?.value)).filter((value) => value !== undefined);
    if (values.length === 0) {
      this.slider = null;
      replaceContent(this.limitPlace, element("p", { class: "quiet" }, "No search of this supernet has stored a front on these targets yet."));
      return false;
    }
    const range = { metric: this.metric, best: Math.min(...values), worst: Math.max(...values), smallest: Math.min(...values), largest: Math.max(...values) };
    if (this.slider) {
      this.slider.setRange(range);
      return false;
    }
    const asked = Number.isFinite(this.asked) ? this.asked : null;
    this.slider = limitSlider({ row: range, on: null, target: null, asked, onChange: () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.load(), PAUSE); } });
    replaceContent(this.limitPlace, this.slider.node);
    return asked !== null;
  }

  fillTable(picks, quality) {
    const rows = this.targets.map((target, index) => ({ id: target, target, point: picks[index].points[0] ?? null, note: picks[index].note, total: picks[index].total }));
    const value = (name) => ({ point, target }) => (point === null ? null : measuredValue(point, name, target)?.value ?? null);
    const shown = (name) => (row) => {
      if (row.point === null) return "–";
      const found = measuredValue(row.point, name, row.target);
      return found === null ? "–" : `${formatValue(name, found.value)}${found.spread ? ` ± ${formatSpread(name, found.spread)}` : ""}`;
    };
    const costs = [...new Set(rows.flatMap((row) => Object.keys(row.point?.costs ?? {})))];
    const table = dataTable({
      caption: "Best subnet of each device",
      rows,
      columns: [
        { title: "Target", value: (row) => this.names.target(row.target), cell: (row) => element("a", { href: `#/targets/${row.target}` }, this.names.target(row.target)) },
        { title: "Best subnet", value: (row) => row.point?.subnet ?? null, cell: (row) => (row.point === null ? element("span", { class: "quiet" }, row.note ?? "no front stored on it yet") : element("a", { href: `#/subnets/${row.point.subnet}?target=${row.target}` }, row.point.subnet)) },
        ...[...new Set([quality, this.metric, ...costs])].map((name) => ({ title: metricLabel(name), number: true, value: value(name), cell: shown(name) })),
        { title: this.limit() === null ? "Points" : "Points within", number: true, value: (row) => row.total, cell: (row) => number(row.total, 0) },
      ],
    });
    replaceContent(this.tablePlace, table.node);
  }

  say(limit) {
    this.setQuery({ supernet: this.supernet.id, targets: this.targets.join(","), [this.limitName()]: limit });
    const query = (target) => `/v1/fronts?supernet=${this.supernet.id}&target=${target}&pick=best${limit === null ? "" : `&${this.limitName()}=${limit}`}`;
    const name = JSON.stringify(this.names.supernet(this.supernet.id));
    const bound = limit === null ? "" : `, ${this.limitName()}=${limit}`;
    replaceContent(
      this.commandsPlace,
      commandsPanel({
        method: "GET",
        path: query(this.targets[0] ?? ""),
        python: [`for target in ${JSON.stringify(this.targets.map(this.names.target))}:`, `    print(target, client.fronts.best(${name}, target${bound}).pick("best"))`],
        cli: this.targets.map((target) => `front best --supernet ${shellWord(this.names.supernet(this.supernet.id))} --target ${shellWord(this.names.target(target))}${limit === null ? "" : ` --limit ${this.metric}=${limit}`} --pick best`),
      }),
    );
  }
}
