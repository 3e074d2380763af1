// A job: progress, log, what it makes; a training's losses and quality while it runs.

import { get } from "../api.js";
import { trainingCharts } from "../charts/training_charts.js";
import { element, heading } from "../elements.js";
import { isFinal, followJob } from "../events.js";
import { moment } from "../metrics.js";
import { commandsPanel } from "../parts/commands.js";
import { factsTable } from "../parts/data_table.js";
import { jobPanel } from "../parts/job_progress.js";
import { jobRequest } from "../parts/request_texts.js";
import { resourceLink } from "./jobs_view.js";

export async function draw({ id, signal }) {
  const job = await get(`/v1/jobs/${id}`, {}, { signal });
  const charts = job.kind === "train" ? trainingCharts() : null;
  const outcome = element("div");
  const show = (now) => outcome.replaceChildren(...outcomeOf(now));
  const onChange = (event) => { if (charts !== null && event.type === "progress" && event.data.metrics) charts.add(event.data.metrics); };
  const progress = jobPanel(job, { signal, onChange, onEnd: show });
  // The panel follows jobs that run; the events of one that has ended are read once for its curves.
  if (charts !== null && isFinal(job.state)) followJob(id, { signal, onEvent: onChange }).catch(() => {});
  show(job);
  return element(
    "div",
    { class: "stack" },
    element("div", {}, element("div", { class: "title" }, element("h1", {}, `Job: ${job.kind}`)), element("div", { class: "facts" }, element("span", { class: "mono" }, job.id), element("span", {}, moment(job.created_at)), job.attempts > 1 && element("span", {}, `${job.attempts} workers had it`))),
    progress,
    charts && element("div", { class: "grid two" }, element("section", { class: "panel" }, heading(2, "Loss by role in the step"), charts.losses), element("section", { class: "panel" }, heading(2, "Quality on validation, of the smallest and the largest subnet"), charts.quality)),
    outcome,
    commandsPanel(jobRequest(id)),
  );
}

function outcomeOf(job) {
  const facts = [];
  if (job.resource !== null) facts.push(["makes", resourceLink(job)]);
  for (const [name, value] of Object.entries(job.result ?? {})) facts.push([name.replaceAll("_", " "), typeof value === "object" ? element("code", { class: "wrap" }, JSON.stringify(value)) : String(value)]);
  return facts.length === 0 ? [] : [element("section", { class: "panel" }, heading(2, "Outcome"), factsTable(facts, "Outcome of the job"))];
}
