// The file of a subnet: choose a precision, export, download, and the lines that run it.

import { fieldOf, get, post } from "../api.js";
import { download } from "../download.js";
import { element, heading, labelled, replaceContent } from "../elements.js";
import { bytes, moment, number } from "../metrics.js";
import { commandsPanel, copyable } from "./commands.js";
import { jobPanel } from "./job_progress.js";
import { guarded, problemNote } from "./problem_note.js";
import { exportRequest } from "./request_texts.js";

export async function exportPanel(subnet, supernet, signal) {
  const place = element("div");
  const listPlace = element("div");
  const commands = element("div");
  const running = element("div");
  const stem = `${supernet.name.replaceAll(/[^A-Za-z0-9._-]+/g, "-")}-${subnet.arch_id}`;
  const format = element("select");
  const precision = element("select");
  const button = element("button", { class: "button main", type: "submit" }, "Export");
  const body = () => ({ format: format.value, precision: precision.value });
  const say = () => {
    const file = `${stem}.${format.value}`;
    replaceContent(running, runLines(file, format.value, supernet));
    replaceContent(commands, commandsPanel(exportRequest(subnet.id, body(), file)));
  };
  const form = element("form", { class: "fields", onchange: say }, labelled("Format", format), labelled("Precision", precision), button);
  const node = element("section", { class: "panel stack", id: "export" }, heading(2, "The file"), supernet.source === "table" ? element("p", { class: "quiet" }, "The space of a table has no networks, so there is no file.") : [form, place, listPlace, running, commands]);

  form.addEventListener("submit", guarded(button, place, async () => {
    const answer = await post(`/v1/subnets/${subnet.id}/exports`, body());
    if (answer.sha256) {
      await refresh();
      return;
    }
    const job = await get(`/v1/jobs/${answer.job.id}`);
    await new Promise((resolve) => {
      replaceContent(place, jobPanel(job, { signal, title: "Export", onEnd: resolve }));
    });
    await refresh();
    const made = (await get(`/v1/exports/${answer.id}`));
    if (made.sha256) place.replaceChildren();
  }));

  async function refresh() {
    const fresh = await get(`/v1/subnets/${subnet.id}`);
    replaceContent(listPlace, exportList(fresh.exports, place));
  }

  try {
    await fillChoices(format, precision);
    say();
  } catch (error) {
    replaceContent(place, problemNote(error));
  }
  replaceContent(listPlace, exportList(subnet.exports, place));
  return node;
}

async function fillChoices(format, precision) {
  const [formats, precisions] = await Promise.all([fieldOf("ExportCreate", "format"), fieldOf("ExportCreate", "precision")]);
  const options = (field) => field.choices.map((value) => element("option", { value, selected: value === field.default }, value));
  replaceContent(format, options(formats));
  replaceContent(precision, options(precisions));
}

function exportList(exports, place) {
  const ready = exports.filter((row) => row.sha256 !== null);
  if (ready.length === 0) return element("p", { class: "quiet" }, "Not exported yet. The file is proven equal to the supernet on real inputs before it is stored.");
  return element("ul", { class: "steps" }, ready.map((row) => exportLine(row, place)));
}

function exportLine(row, place) {
  const button = element("button", { class: "button", type: "button", dataset: { download: row.sha256 } }, "Download");
  button.addEventListener("click", guarded(button, place, () => download(`/v1/artifacts/${row.sha256}`)));
  const parity = row.parity ? `${row.precision === "fp32" ? "equal to the supernet within" : "differs from the supernet by at most"} ${number(row.parity.max_error, 2)} on ${number(row.parity.n, 0)} inputs` : "";
  return element(
    "li",
    {},
    element("span", { class: "mark", "aria-hidden": "true" }, "✓"),
    element("div", {}, element("b", {}, `${row.format} · ${row.precision} · opset ${row.opset} · ${bytes(row.bytes)}`), element("div", { class: "quiet" }, [parity, moment(row.created_at)].filter(Boolean).join(" · ")), element("div", { class: "quiet mono wrap" }, `SHA-256 ${row.sha256}`), element("div", { class: "actions" }, button)),
  );
}

// Lines that run a file; only ONNX needs nothing of ours or of torch.
function runLines(file, format, supernet) {
  if (format !== "onnx") return null;
  const { mean = [], std = [] } = supernet.preprocessing ?? {};
  const normalise = mean.length > 0 ? [`# inputs: 0..1, minus mean ${mean.join(", ")}, divided by ${std.join(", ")}`] : [];
  const lines = [
    "import numpy as np",
    "import onnxruntime",
    "",
    `session = onnxruntime.InferenceSession("${file}", providers=["CPUExecutionProvider"])`,
    ...normalise,
    "given = {each.name: np.zeros([d if isinstance(d, int) else 1 for d in each.shape], np.float32) for each in session.get_inputs()}",
    "print(session.run(None, given)[0])",
  ];
  return element("div", {}, element("h3", {}, "To run it"), copyable(lines.join("\n"), "lines that run it"));
}
