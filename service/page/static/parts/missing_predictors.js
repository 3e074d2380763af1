// Predictors that a search needs and that do not exist: a button for each, which measures or evaluates first if it must.

import { get, post, Problem } from "../api.js";
import { element } from "../elements.js";
import { metricLabel } from "../metrics.js";
import { progressBar, progressWords } from "./job_progress.js";
import { problemNote } from "./problem_note.js";

export function missingPredictors(missing, names, onDone) {
  if (missing.length === 0) return null;
  return element("div", { class: "stack" }, missing.map((action) => missingOne(action, names, onDone)));
}

function missingOne(action, names, onDone) {
  const { metric, target } = action.body;
  const place = element("div");
  const button = element("button", { class: "button small", type: "button", onclick: async () => {
    button.disabled = true;
    try {
      await fit(action, place);
      onDone();
    } catch (error) {
      place.replaceChildren(problemNote(error));
      button.disabled = false;
    }
  } }, "Fit it now");
  return element("div", { class: "note warn" }, element("p", {}, `No predictor of ${metricLabel(metric)}${target ? ` on ${names.target(target)}` : ""} yet. `, button), place);
}

// The API's refusal names the request that adds the rows a predictor needs: that is done first, then the fit again.
async function fit(action, place) {
  let answer;
  try {
    answer = await post(action.path, action.body);
  } catch (error) {
    const more = error instanceof Problem ? error.body.actions?.[0] : undefined;
    if (more === undefined || more.body.table) throw error;
    await finished((await post(more.path, more.body)).job.id, place);
    answer = await post(action.path, action.body);
  }
  await finished(answer.job.id, place);
}

export async function finished(id, place) {
  for (;;) {
    const job = await get(`/v1/jobs/${id}`);
    place.replaceChildren(element("p", {}, job.message ?? job.kind, " ", element("a", { href: `#/jobs/${id}` }, "job")), progressBar(job), element("div", { class: "progress-line" }, progressWords(job)));
    if (job.state === "succeeded") return;
    if (["failed", "cancelled"].includes(job.state)) throw new Error(job.error?.message ?? `the job was ${job.state}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
