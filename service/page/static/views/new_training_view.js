// A new training: data, family and recipe; what it would cost is shown before it starts.

import { fieldOf, post } from "../api.js";
import { element, heading, labelled, replaceContent } from "../elements.js";
import { number } from "../metrics.js";
import { loadNames } from "../names.js";
import { commandsPanel } from "../parts/commands.js";
import { factsTable } from "../parts/data_table.js";
import { guarded, problemNote } from "../parts/problem_note.js";
import { trainingRequest } from "../parts/request_texts.js";

const PAUSE = 600;
const MODEL = "TrainingCreate";
// Fields of the request in the order of the form: label, and where its choices come from.
const FIELDS = [
  ["data", "Data"],
  ["family", "Family"],
  ["recipe", "Recipe"],
  ["steps", "Steps"],
  ["seed", "Seed"],
  ["source", "Train further"],
  ["teacher", "Teacher"],
];
const NUMBERS = ["steps", "seed"];
const SUPERNETS = ["source", "teacher"];

export async function draw({ query, signal }) {
  const [names, ...fields] = await Promise.all([loadNames({ signal }), ...FIELDS.map(([name]) => fieldOf(MODEL, name))]);
  const known = Object.fromEntries(FIELDS.map(([name], index) => [name, fields[index]]));
  return new TrainingForm(names, known, query, signal).node;
}

class TrainingForm {
  constructor(names, known, query, signal) {
    Object.assign(this, { names, known, signal });
    this.name = element("input", { required: true, maxlength: "80", value: query.get("name") ?? "", placeholder: "my-supernet" });
    this.inputs = Object.fromEntries(FIELDS.map(([field]) => [field, this.inputOf(field, query.get(field))]));
    this.estimatePlace = element("div", { class: "training-estimate", "aria-live": "polite" }, element("p", { class: "quiet" }, "Estimating …"));
    this.commands = element("div");
    this.problem = element("div");
    this.button = element("button", { class: "button main", type: "submit" }, "Start the training");
    this.node = this.build();
    this.changed(0);
  }

  inputOf(field, asked) {
    const { default: preset, choices } = this.known[field];
    const value = asked ?? preset ?? (field === "data" || field === "family" ? choices[0] : "") ?? "";
    if (NUMBERS.includes(field)) return element("input", { type: "number", min: field === "steps" ? "1" : "0", step: "1", value });
    if (SUPERNETS.includes(field)) return element("select", {}, element("option", { value: "" }, "none"), this.networks().map((row) => element("option", { value: row.name, selected: row.name === value }, row.name)));
    return element("input", { value, spellcheck: "false" });
  }

  networks() {
    return this.names.supernets.filter((row) => row.source !== "table");
  }

  build() {
    const lists = [];
    const parts = FIELDS.map(([field, label]) => {
      const input = this.inputs[field];
      if (input.tagName === "INPUT" && input.type === "text") {
        const suggested = [...new Set([...this.known[field].choices, ...(field === "family" ? this.networks().filter((row) => row.source === "zoo").map((row) => row.name) : [])])];
        const list = element("datalist", { id: `choices-${field}` }, suggested.map((value) => element("option", { value })));
        input.setAttribute("list", list.id);
        lists.push(list);
      }
      return labelled(label, input, this.known[field].description);
    });
    const form = element(
      "form",
      { class: "grid main-and-side", novalidate: true },
      element("section", { class: "panel stack" }, heading(2, "What is trained"), labelled("Name of the new supernet", this.name), element("div", { class: "field-columns" }, parts), lists),
      element(
        "div",
        { class: "stack" },
        element("section", { class: "panel stack" }, heading(2, "What it takes"), this.estimatePlace, element("div", { class: "actions" }, this.button), this.problem),
        this.commands,
      ),
    );
    form.addEventListener("input", () => this.changed(PAUSE));
    form.addEventListener("submit", guarded(this.button, this.problem, async () => {
      const { job } = await post("/v1/trainings", this.body());
      location.hash = `#/jobs/${job.id}`;
    }));
    return element("div", { class: "stack" }, element("h1", {}, "New training"), form);
  }

  body() {
    const body = { name: this.name.value.trim() };
    for (const [field, input] of Object.entries(this.inputs)) {
      const value = input.value.trim();
      if (value !== "") body[field] = NUMBERS.includes(field) ? input.valueAsNumber : value;
    }
    return body;
  }

  changed(pause) {
    replaceContent(this.commands, commandsPanel(trainingRequest(this.body()), { open: this.commands.querySelector("details")?.open ?? true }));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.estimate(), pause);
  }

  async estimate() {
    this.asking?.abort();
    if (this.signal.aborted) return;
    this.asking = new AbortController();
    this.signal.addEventListener("abort", () => this.asking.abort(), { once: true });
    const { name, ...rest } = this.body();
    try {
      const found = await post("/v1/trainings:estimate", { ...rest, ...(name ? { name } : {}) }, { signal: this.asking.signal });
      replaceContent(this.estimatePlace, estimateFacts(found));
    } catch (error) {
      if (error.name !== "AbortError") replaceContent(this.estimatePlace, problemNote(error));
    }
  }
}

function estimateFacts(found) {
  const range = ([small, large]) => `${number(small, 0)} to ${number(large, 0)}`;
  const problems = found.data_report?.problems ?? [];
  return [
    element("dl", { class: "tiles", id: "estimate" }, [
      ["steps", number(found.steps, 0), `of ${number(found.batch_size, 0)} examples`],
      ["passes", number(found.passes, 0), "forward and backward, of subnets"],
      ["memory", found.memory_mb === null ? "–" : `${number(found.memory_mb, 3)}\u202fMB`, found.memory_mb === null ? "known once the data are loaded" : "weights, activations, examples"],
      ["MACs a step", number(found.macs_per_step, 3), "on average"],
    ].map(([name, value, hint]) => element("div", {}, element("dt", {}, name), element("dd", {}, value, element("small", {}, hint))))),
    factsTable(
      [
        ["data", `${found.data}${found.train_images === null ? "" : `, ${number(found.train_images, 0)} training examples`}${found.classes ? `, ${found.classes} classes` : ""}`],
        ["family", `${found.family}, ${number(found.subnets, 3)} subnets`],
        ["parameters", range(found.params)],
        ["MACs", range(found.macs)],
        ["recipe", `${found.recipe}, seed ${found.seed}`],
        ["networks", found.networks > 1 ? String(found.networks) : null],
        ["time", found.seconds === null ? "known after the first steps on the worker" : `${number(found.seconds, 3)}\u202fs`],
      ],
      "Estimate of the training",
    ),
    problems.length > 0 && element("ul", {}, problems.map((problem) => element("li", {}, `${problem.level}: ${problem.message}`))),
  ];
}
