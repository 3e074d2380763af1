// A new search: what is searched, under which limits, for how long; whether it can be met is shown while the limits move.

import { get, post } from "../api.js";
import { element, heading, labelled, replaceContent } from "../elements.js";
import { duration, firstMeasured, formatValue, metricLabel, metricOf, number, percent } from "../metrics.js";
import { loadNames } from "../names.js";
import { commandsPanel } from "../parts/commands.js";
import { limitSlider } from "../parts/limit_slider.js";
import { missingPredictors } from "../parts/missing_predictors.js";
import { guarded, problemNote } from "../parts/problem_note.js";
import { searchRequest } from "../parts/request_texts.js";
import { restrictFields } from "../parts/restrict_fields.js";
import { limitWords } from "./searches_view.js";

const DEFAULT_EVALUATIONS = 24;
const PAUSE = 250;

export async function draw({ query, signal, setQuery }) {
  const names = await loadNames({ signal });
  const supernets = names.supernets.filter((row) => row.source !== "table");
  if (supernets.length === 0) {
    return element("div", { class: "stack" }, element("h1", {}, "New search"), element("p", {}, "There is no supernet to search yet. ", element("a", { href: "#/" }, "What to do first")));
  }
  const form = new SearchForm(names, supernets, query, signal, setQuery);
  await form.profile();
  return form.node;
}

class SearchForm {
  constructor(names, supernets, query, signal, setQuery) {
    Object.assign(this, { names, supernets, signal, setQuery });
    const asked = (query.get("targets") ?? query.get("target") ?? "").split(",");
    const known = names.targets.filter((row) => asked.includes(row.id) || asked.includes(row.name)).map((row) => row.id);
    this.supernet = supernets.find((row) => [row.id, row.name].includes(query.get("supernet"))) ?? supernets[0];
    this.targets = known.length > 0 ? known : names.targets.slice(-1).map((row) => row.id);
    const measurable = names.targets.filter((row) => this.targets.includes(row.id)).flatMap((row) => row.metrics);
    this.objectives = [this.supernet.quality, firstMeasured(measurable)].filter((name) => name !== null);
    this.sliders = new Map();
    this.askedLimits = new Map([...query].filter(([name]) => name.startsWith("max_") || name.startsWith("min_")));
    this.restrict = {};
    this.places = Object.fromEntries(["limits", "objectives", "verdict", "missing", "commands", "estimate", "problem", "restrict"].map((name) => [name, element("div")]));
    this.places.estimate.className = "estimate";
    this.places.verdict.className = "verdict";
    this.places.verdict.setAttribute("aria-live", "polite");
    this.node = this.build();
  }

  build() {
    const supernet = element("select", { onchange: () => {
      this.supernet = this.supernets.find((row) => row.id === supernet.value);
      this.objectives = [this.supernet.quality, ...this.objectives.filter((name) => metricOf(name).source !== "evaluated")];
      this.sliders.clear();
      this.fillRestrict();
      this.changed();
    } }, this.supernets.map((row) => element("option", { value: row.id, selected: row === this.supernet }, row.name)));
    this.front = element("select", { onchange: () => this.changed() }, element("option", { value: "per_target" }, "a front for each target"), element("option", { value: "shared" }, "one front; the worst target counts"));
    this.frontField = labelled("With several targets", this.front);
    this.evaluations = element("input", { type: "number", min: "1", max: "10000", step: "1", value: DEFAULT_EVALUATIONS, required: true, oninput: () => this.changed() });
    this.confidence = element("input", { type: "number", min: "51", max: "99.9", step: "0.1", value: 95, oninput: () => this.changed() });
    this.seed = element("input", { type: "number", min: "0", step: "1", value: 0, oninput: () => this.changed() });
    this.button = element("button", { class: "button main", type: "submit" }, "Start the search");
    const form = element(
      "form",
      { class: "grid main-and-side", novalidate: true },
      element(
        "div",
        { class: "stack" },
        element("section", { class: "panel stack" }, heading(2, "What"), element("div", { class: "fields" }, labelled("Supernet", supernet)), this.targetBoxes(), this.frontField, this.places.objectives),
        element("section", { class: "panel" }, heading(2, "Limits"), element("p", { class: "quiet" }, "Between the smallest and the largest value that the space offers, as predicted. A limit counts as met where the predictor is confident enough."), this.places.missing, this.places.limits),
        element("details", { class: "panel" }, element("summary", {}, "Confidence, seed, parts of the space"), element("div", { class: "fields" }, labelled("Confidence (%)", this.confidence, "that a limit holds"), labelled("Seed", this.seed)), this.places.restrict),
      ),
      element(
        "div",
        { class: "stack" },
        element("section", { class: "panel stack" }, heading(2, "Can it be met?"), this.places.verdict),
        element("section", { class: "panel stack" }, heading(2, "Budget"), labelled("Evaluations", this.evaluations, "Subnets that are truly evaluated and measured."), this.places.estimate, element("div", { class: "actions" }, this.button), this.places.problem),
        this.places.commands,
      ),
    );
    form.addEventListener("submit", guarded(this.button, this.places.problem, async () => {
      const answer = await post("/v1/searches", this.body());
      location.hash = `#/searches/${answer.id}`;
    }));
    this.fillRestrict();
    return element("div", { class: "stack" }, element("h1", {}, "New search"), form);
  }

  targetBoxes() {
    const boxes = this.names.targets.map((row) => {
      const box = element("input", { type: "checkbox", value: row.id, checked: this.targets.includes(row.id), onchange: () => {
        this.targets = boxes.map((label) => label.firstChild).filter((each) => each.checked).map((each) => each.value);
        this.changed();
      } });
      return element("label", { class: "choice" }, box, row.name, row.stale && element("span", { class: "pill warn", title: row.stale }, "stale"));
    });
    if (boxes.length === 0) return element("p", { class: "quiet" }, "No target yet: only closed-form costs can be limited. ", element("a", { href: "#/" }, "Register a target"));
    return element("fieldset", {}, element("legend", {}, "Targets"), element("div", { class: "choices" }, boxes));
  }

  fillObjectives(metrics) {
    if (this.objectivesOf === metrics.toSorted().join()) return;
    this.objectivesOf = metrics.toSorted().join();
    const boxes = metrics.map((name) => {
      const box = element("input", { type: "checkbox", value: name, checked: this.objectives.includes(name), onchange: () => {
        this.objectives = boxes.map((label) => label.firstChild).filter((each) => each.checked).map((each) => each.value);
        this.changed();
      } });
      return element("label", { class: "choice" }, box, `${metricOf(name).direction === "max" ? "highest" : "lowest"} ${metricLabel(name)}`);
    });
    replaceContent(this.places.objectives, element("fieldset", {}, element("legend", {}, "Objectives"), element("div", { class: "choices" }, boxes)));
  }

  async fillRestrict() {
    this.restrict = {};
    const space = await get(`/v1/supernets/${this.supernet.id}/space`, {}, { signal: this.signal });
    replaceContent(this.places.restrict, restrictFields(space, (restrict) => { this.restrict = restrict; this.changed(); }));
  }

  limits() {
    return [...this.sliders.values()].map((slider) => slider.limit()).filter((limit) => limit !== null);
  }

  body() {
    const several = this.targets.length > 1;
    return {
      supernet: this.supernet.id,
      targets: this.targets,
      ...(several ? { front: this.front.value } : {}),
      objectives: this.objectives,
      constraints: this.limits(),
      ...(Object.keys(this.restrict).length > 0 ? { restrict: this.restrict } : {}),
      confidence: this.confidence.valueAsNumber / 100,
      budget: { evaluations: this.evaluations.valueAsNumber },
      seed: this.seed.valueAsNumber,
    };
  }

  // Something was changed: tell the commands at once, ask the profile when it rests.
  changed() {
    this.say();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.profile(), PAUSE);
  }

  say() {
    this.frontField.hidden = this.targets.length < 2;
    const changes = { supernet: this.supernet.id, targets: this.targets.join(",") };
    for (const [key, slider] of this.sliders) {
      const limit = slider.limit();
      for (const bound of ["max", "min"]) changes[`${bound}_${key}`] = limit?.[bound] ?? null;
    }
    this.setQuery(changes);
    const panel = commandsPanel(searchRequest(this.body(), this.names), { open: this.places.commands.querySelector("details")?.open ?? true });
    replaceContent(this.places.commands, panel);
    this.estimate();
  }

  async profile() {
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.signal.addEventListener("abort", () => this.asking.abort(), { once: true });
    const { supernet, targets, constraints, restrict, confidence, seed } = this.body();
    try {
      const found = await post("/v1/searches:profile", { supernet, targets, constraints, restrict, confidence, seed }, { signal });
      this.known = found;
      if (this.fillLimits(found)) {
        await this.profile();
        return;
      }
      this.fillObjectives([...new Set([...this.objectives, ...found.metrics.map((row) => row.metric)])]);
      replaceContent(this.places.verdict, verdict(found, this.names));
      replaceContent(this.places.missing, missingPredictors(found.missing, this.names, () => this.profile()));
      this.say();
    } catch (error) {
      if (error.name !== "AbortError") replaceContent(this.places.verdict, problemNote(error));
    }
  }

  // True if a limit came with a new slider, as from the address: the profile does not know it yet.
  fillLimits(found) {
    const before = JSON.stringify(this.limits());
    const keys = new Set();
    const rank = (row) => ["measured", "evaluated", "closed_form"].indexOf(metricOf(row.metric).source);
    for (const row of [...found.metrics].sort((left, right) => rank(left) - rank(right))) {
      const key = row.target === null || this.targets.length < 2 ? row.metric : `${row.metric}@${row.target}`;
      keys.add(key);
      if (!this.sliders.has(key)) this.sliders.set(key, this.newSlider(key, row));
      else this.sliders.get(key).setRange(row);
    }
    for (const key of [...this.sliders.keys()]) if (!keys.has(key)) this.sliders.delete(key);
    const nodes = [...this.sliders.values()].map((slider) => slider.node);
    if (nodes.some((node, index) => this.places.limits.children[index] !== node) || nodes.length !== this.places.limits.childElementCount) replaceContent(this.places.limits, nodes);
    return JSON.stringify(this.limits()) !== before;
  }

  newSlider(key, row) {
    const bound = metricOf(row.metric).direction === "max" ? "min" : "max";
    const asked = Number(this.askedLimits.get(`${bound}_${key}`) ?? NaN);
    const on = this.targets.length > 1 && row.target !== null ? this.names.target(row.target) : null;
    return limitSlider({ row, on, target: on === null ? null : row.target, asked: Number.isFinite(asked) ? asked : null, onChange: () => this.changed() });
  }

  // How long a search of this size would take, by what an evaluation took before.
  async estimate() {
    this.pace ??= new Map();
    const key = this.supernet.id;
    if (!this.pace.has(key)) this.pace.set(key, paceOf(key, this.signal).catch(() => null));
    const pace = await this.pace.get(key);
    const count = this.evaluations.valueAsNumber;
    const words = pace === null ? "How long an evaluation takes here is not known yet." : `About ${duration(pace.seconds * count)}, by ${pace.by} (${number(pace.seconds, 2)} s for each evaluation).`;
    replaceContent(this.places.estimate, element("p", { class: "quiet", id: "estimate" }, words));
  }
}

// Seconds for one evaluation: as earlier searches of the supernet had it, or else as evaluating and measuring jobs here.
async function paceOf(supernet, signal) {
  const { items } = await get("/v1/searches", { supernet, state: "succeeded", page_size: 10 }, { signal });
  const ends = items.map((row) => row.history.at(-1)).filter((end) => end && end.evaluations > 0);
  if (ends.length > 0) {
    const evaluations = ends.reduce((sum, end) => sum + end.evaluations, 0);
    return { by: `${number(evaluations, 0)} evaluations of earlier searches`, seconds: ends.reduce((sum, end) => sum + end.seconds, 0) / evaluations };
  }
  const paces = await Promise.all(["evaluate", "measure"].map((kind) => jobPace(kind, signal)));
  return paces.includes(null) ? null : { by: "evaluating and measuring jobs here", seconds: paces[0] + paces[1] };
}

async function jobPace(kind, signal) {
  const { items } = await get("/v1/jobs", { kind, state: "succeeded", page_size: 10 }, { signal });
  const jobs = items.filter((job) => job.started_at && job.finished_at && job.progress.total > 0);
  if (jobs.length === 0) return null;
  const seconds = jobs.reduce((sum, job) => sum + (new Date(job.finished_at) - new Date(job.started_at)) / 1000, 0);
  return seconds / jobs.reduce((sum, job) => sum + job.progress.total, 0);
}

function verdict(found, names) {
  if (found.satisfiable === null) return element("p", {}, "Not known: a predictor is missing.");
  if (!found.satisfiable) {
    return [
      element("p", { class: "big", dataset: { satisfiable: "false" } }, element("span", { class: "pill bad" }, "cannot be met")),
      element("p", {}, "Nothing seen meets ", limitWords(found.unmet, names), "."),
      found.unmet.map((miss) => element("p", { class: "quiet" }, `${metricLabel(miss.metric)}: the nearest subnet has ${formatValue(miss.metric, miss.best)}`)),
    ];
  }
  return [
    element("p", { class: "big", dataset: { satisfiable: "true" } }, found.share === null ? "yes" : percent(found.share, 2), " ", element("span", { class: "pill good" }, "can be met")),
    element("p", { class: "quiet" }, found.share === null ? "Some subnets meet every known limit." : `of ${number(found.sampled, 0)} sampled subnets meet every limit.`),
  ];
}
