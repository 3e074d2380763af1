// How a job does, live: state, bar, time left, message, log; cancel and resume.

import { get, post } from "../api.js";
import { element, heading } from "../elements.js";
import { followJob, isFinal } from "../events.js";
import { duration } from "../metrics.js";
import { guarded, problemNote } from "./problem_note.js";
import { statePill } from "./state_pill.js";

// The bar alone, of a job as the API shows it.
export function progressBar(job) {
  const { done, total } = job.progress;
  const ended = job.state === "succeeded";
  const share = ended ? 1 : total > 0 ? Math.min(done / total, 1) : 0;
  const fill = element("span");
  fill.style.width = `${100 * share}%`;
  return element("div", { class: "meter", role: "progressbar", "aria-label": `progress of ${job.kind} job`, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": Math.round(100 * share) }, fill);
}

export function progressWords(job) {
  const { done, total, eta_s: eta } = job.progress;
  const count = total > 0 ? `${done} of ${total}` : "";
  const left = !isFinal(job.state) && eta !== null ? `about ${duration(eta)} left` : "";
  return [count, left].filter(Boolean).join(" · ");
}

// A live panel of a job. `onChange(event)` hears of each event, `onEnd(job)` of the last.
export function jobPanel(job, { signal, onChange = () => {}, onEnd = () => {}, title = "Progress", after = 0 }) {
  const current = structuredClone(job);
  const top = element("div");
  const words = element("div", { class: "progress-line" });
  const bar = element("div");
  const trouble = element("div");
  const log = element("pre", { class: "log", tabindex: "0", "aria-label": "Log of the job" });
  const logBox = element("details", {}, element("summary", {}, "Log"), log);
  const connection = element("span", { class: "pill warn", hidden: true }, "reconnecting …");
  const node = element("section", { class: "panel", dataset: { job: job.id } }, top, bar, words, trouble, logBox);
  for (const line of job.log) log.append(`${line}\n`);

  function refresh() {
    top.replaceChildren(heading(2, title, statePill(current.state), connection, element("div", { class: "actions" }, buttons())));
    bar.replaceChildren(progressBar(current));
    words.replaceChildren(element("span", {}, current.message ?? ""), element("span", { class: "quiet" }, progressWords(current)));
    if (current.error) {
      trouble.replaceChildren(element("div", { class: "problem", role: "alert" }, element("p", {}, current.error.message), element("p", { class: "quiet" }, element("small", {}, current.error.code))));
    } else trouble.replaceChildren();
    logBox.hidden = log.textContent === "";
  }

  function buttons() {
    const found = [];
    if (["queued", "running"].includes(current.state)) found.push(button("Cancel", "danger", `/v1/jobs/${job.id}:cancel`));
    if (["failed", "cancelled"].includes(current.state)) found.push(button("Resume", "", `/v1/jobs/${job.id}:resume`));
    return found;
  }

  function button(text, tone, path) {
    const made = element("button", { class: `button small ${tone}`, type: "button" }, text);
    made.addEventListener("click", guarded(made, trouble, async () => {
      Object.assign(current, await post(path));
      refresh();
      follow();
    }));
    return made;
  }

  function take(event) {
    if (event.type === "state") {
      current.state = event.data.state;
      if (event.data.error) current.error = event.data.error;
    }
    if (event.type === "progress") {
      const { done, total, eta_s: eta, message } = event.data;
      current.progress = { done: done ?? current.progress.done, total: total ?? current.progress.total, eta_s: eta ?? null };
      if (message) current.message = message;
    }
    if (event.type === "log") log.append(`${event.data.line ?? event.data.lines?.join("\n") ?? ""}\n`);
    refresh();
    onChange(event);
  }

  let following = false;
  let last = after;
  async function follow() {
    if (following || isFinal(current.state)) return;
    following = true;
    log.textContent = last === 0 ? "" : log.textContent;
    try {
      await followJob(job.id, {
        signal,
        after: last,
        onEvent: (event) => { last = event.id; take(event); },
        onConnection: (open) => { connection.hidden = open || isFinal(current.state); },
      });
      if (signal.aborted) return;
      Object.assign(current, await get(`/v1/jobs/${job.id}`, {}, { signal }));
      refresh();
      onEnd(current);
    } catch (error) {
      if (!signal.aborted) trouble.replaceChildren(problemNote(error));
    } finally {
      following = false;
    }
  }

  refresh();
  follow();
  return node;
}
