// Every job, newest first.

import { list } from "../api.js";
import { element } from "../elements.js";
import { duration, moment } from "../metrics.js";
import { commandsPanel } from "../parts/commands.js";
import { dataTable } from "../parts/data_table.js";
import { progressWords } from "../parts/job_progress.js";
import { listRequest } from "../parts/request_texts.js";
import { statePill } from "../parts/state_pill.js";

const MOST = 200;

export async function draw({ signal }) {
  const jobs = await list("/v1/jobs", {}, MOST, { signal });
  return element("div", { class: "stack" }, element("h1", {}, "Jobs"), element("section", { class: "panel" }, table(jobs)), commandsPanel(listRequest("/v1/jobs", ["for job in client.jobs.list():", "    print(job.id, job.kind, job.state)"], "jobs list")));
}

function table(jobs) {
  return dataTable({
    caption: "Jobs",
    rows: jobs,
    empty: "No job yet.",
    columns: [
      { title: "Job", value: (row) => row.created_at, cell: (row) => [element("a", { href: `#/jobs/${row.id}` }, row.kind), element("div", { class: "quiet mono" }, row.id)] },
      { title: "State", value: (row) => row.state, cell: (row) => statePill(row.state) },
      { title: "Started", value: (row) => row.created_at, cell: (row) => moment(row.created_at) },
      { title: "Took", number: true, value: took, cell: (row) => duration(took(row)) },
      { title: "Progress", value: (row) => row.progress.done, cell: progressWords },
      { title: "Message", wide: true, value: (row) => row.error?.message ?? row.message, cell: (row) => row.error?.message ?? row.message ?? "–" },
      { title: "Makes", value: (row) => row.resource?.type, cell: resourceLink },
    ],
  }).node;
}

function took(row) {
  return row.started_at && row.finished_at ? (new Date(row.finished_at) - new Date(row.started_at)) / 1000 : null;
}

export function resourceLink({ resource }) {
  if (resource === null) return "–";
  const folders = { search: "searches", predictor: "predictors", supernet: "supernets" };
  const folder = folders[resource.type];
  return folder ? element("a", { href: `#/${folder}/${resource.id}` }, `${resource.type} ${resource.id}`) : `${resource.type} ${resource.id}`;
}
