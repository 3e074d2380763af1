// Start: what there is, what runs, and what to do next.

import { get, list, post } from "../api.js";
import { element, heading, replaceContent } from "../elements.js";
import { firstMeasured, metricLabel } from "../metrics.js";
import { loadNames } from "../names.js";
import { commandsPanel } from "../parts/commands.js";
import { evaluateRequest, fitRequest, listRequest, measureRequest, supernetRequest, targetRequest } from "../parts/request_texts.js";
import { progressBar, progressWords } from "../parts/job_progress.js";
import { finished } from "../parts/missing_predictors.js";
import { guarded } from "../parts/problem_note.js";
import { supernetCard, targetCard } from "../parts/cards.js";
import { statePill } from "../parts/state_pill.js";
import { searchTable } from "./searches_view.js";

const RUNNING_EVERY = 2000;
const ENOUGH_MEASURED = 30;
const ENOUGH_EVALUATED = 100;

export async function draw({ signal, redraw }) {
  const [names, predictors, searches, ready, running] = await Promise.all([
    loadNames({ signal }),
    list("/v1/predictors", {}, 500, { signal }),
    list("/v1/searches", {}, 8, { signal }),
    get("/readyz", {}, { signal }).catch((error) => ({ trouble: error })),
    runningJobs(signal),
  ]);
  const fitted = predictors.filter((row) => row.version !== null);
  const steps = nextSteps(names, fitted, searches, redraw);
  return element(
    "div",
    { class: "stack" },
    element("div", { class: "title" }, element("h1", {}, "Netwright"), element("div", { class: "actions" }, element("a", { class: "button main", href: "#/searches/new" }, "New search"))),
    workersNote(ready),
    steps,
    runningPanel(running, signal, redraw),
    element(
      "div",
      { class: "grid two" },
      shelf("Supernets", element("a", { class: "button small", href: "#/trainings/new" }, "Train one"), names.supernets, (row) => supernetCard(row, fitted.filter((each) => each.supernet === row.id && each.target === null)), "No supernet is registered yet."),
      shelf("Targets", null, names.targets, (row) => targetCard(row, fitted.filter((each) => each.target === row.id), names), "No target is registered yet."),
    ),
    searches.length > 0 && element("section", { class: "panel" }, heading(2, "Newest searches", element("div", { class: "actions" }, element("a", { href: "#/searches" }, "All searches"))), searchTable(searches, names)),
    steps === null && commandsPanel(listRequest("/v1/searches", ["for search in client.searches.list():", "    print(search.id, search.state, search.points)"], ["supernets list", "targets list", "search list"])),
  );
}

function shelf(title, action, rows, card, empty) {
  return element("section", {}, heading(2, title, action && element("div", { class: "actions" }, action)), rows.length === 0 ? element("p", { class: "quiet" }, empty) : element("div", { class: "cards" }, rows.map(card)));
}

function workersNote(ready) {
  if (ready.trouble) return element("div", { class: "note warn" }, element("p", {}, ready.trouble.message));
  if (ready.workers > 0) return null;
  return element("div", { class: "note warn" }, element("p", {}, element("b", {}, "No worker is running."), " Jobs wait until one is: ", element("code", {}, "netwright worker")));
}

// --- what to do first ----------------------------------------------------------------------------

function nextSteps(names, predictors, searches, redraw) {
  if (searches.length > 0) return null;
  const supernet = names.supernets.find((row) => row.source !== "table") ?? null;
  const target = names.targets.find((row) => row.measurable) ?? null;
  const has = (metric, on) => supernet !== null && predictors.some((row) => row.supernet === supernet.id && row.metric === metric && row.target === on);
  const cost = firstMeasured(target?.metrics);
  const fitted = target !== null && has(cost, target.id);
  const quality = supernet !== null && has(supernet.quality, null);
  const steps = [
    { text: "Register a supernet", why: "The zoo's small one for images of digits is a good first.", done: supernet !== null, call: supernetRequest("digits") },
    { text: "Register a target", why: "The device that the subnets are for; here the machine of the worker.", done: target !== null, call: targetRequest() },
    { text: `Measure ${ENOUGH_MEASURED} subnets on the target`, why: `Their ${metricLabel(cost)}; they span the space and take a minute or two.`, done: fitted, call: supernet && target && measureRequest(target.id, supernet.id, ENOUGH_MEASURED, names), then: supernet && target && fitRequest(supernet.id, target.id, cost, names), verb: "Measure and fit" },
    { text: `Evaluate ${ENOUGH_EVALUATED} subnets`, why: "Their quality on validation data.", done: quality, call: supernet && evaluateRequest(supernet.id, ENOUGH_EVALUATED, names), then: supernet && fitRequest(supernet.id, null, supernet.quality, names), verb: "Evaluate and fit" },
    { text: "Search", why: "The best subnets under your limits.", done: false, link: "#/searches/new" },
  ];
  const first = steps.findIndex((step) => !step.done);
  return element("section", { class: "panel", id: "next-steps" }, heading(2, "What to do first"), element("ol", { class: "steps" }, steps.map((step, index) => stepItem(step, index, first, redraw))));
}

function stepItem(step, index, first, redraw) {
  const isNext = index === first;
  const place = element("div");
  const body = element("div", {}, element("div", {}, element("b", {}, step.text), " ", element("span", { class: "quiet" }, step.done ? "done" : step.why)));
  if (isNext && step.link) body.append(element("p", {}, element("a", { class: "button main", href: step.link }, "New search")));
  if (isNext && step.call) {
    const button = element("button", { class: "button main", type: "button" }, step.verb ?? "Do it now");
    button.addEventListener("click", guarded(button, place, () => doStep(step, place, redraw)));
    body.append(element("div", { class: "stack" }, element("div", { class: "actions" }, button), commandsPanel(bothCalls(step), { open: true }), place));
  }
  return element("li", { class: step.done ? "done" : isNext ? "next" : "" }, element("span", { class: "mark", "aria-hidden": "true" }, step.done ? "✓" : index + 1), body);
}

// The texts of a step that is two requests, one after the other; curl shows the first, whose job must end first.
function bothCalls({ call, then }) {
  if (!then) return call;
  return { ...call, python: [call.python, then.python].flat(), cli: [call.cli, then.cli].flat() };
}

async function doStep(step, place, redraw) {
  const answer = await post(step.call.path, step.call.body);
  if (!step.then) {
    await redraw();
    return;
  }
  await finished(answer.job.id, place);
  const fit = await post(step.then.path, step.then.body);
  await finished(fit.job.id, place);
  await redraw();
}

// --- what runs -----------------------------------------------------------------------------------

async function runningJobs(signal) {
  const found = await Promise.all(["running", "queued"].map((state) => list("/v1/jobs", { state }, 20, { signal })));
  return found.flat();
}

function runningPanel(first, signal, redraw) {
  const rows = element("div", { class: "stack" });
  const node = element("section", { class: "panel", hidden: first.length === 0 }, heading(2, "Running now"), rows);
  let before = first.length;
  const fill = (jobs) => {
    node.hidden = jobs.length === 0;
    replaceContent(rows, jobs.map(jobLine));
  };
  const again = async () => {
    if (signal.aborted) return;
    try {
      const jobs = await runningJobs(signal);
      fill(jobs);
      if (jobs.length === 0 && before > 0 && document.querySelector("#next-steps .meter") === null) await redraw();
      before = jobs.length;
    } catch {
      // The service is away for a moment; the next round sees.
    }
    if (!signal.aborted) setTimeout(again, RUNNING_EVERY);
  };
  fill(first);
  setTimeout(again, RUNNING_EVERY);
  return node;
}

function jobLine(job) {
  const href = job.resource?.type === "search" ? `#/searches/${job.resource.id}` : `#/jobs/${job.id}`;
  return element(
    "div",
    {},
    element("div", { class: "progress-line" }, element("span", {}, element("a", { href }, job.kind), " ", statePill(job.state), " ", job.message ?? ""), element("span", { class: "quiet" }, progressWords(job))),
    progressBar(job),
  );
}
