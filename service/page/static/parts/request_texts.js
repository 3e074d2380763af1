// Requests of the page as {method, path, body, python, cli} for the panel of commands.

import { metricOf } from "../metrics.js";
import { pythonLiteral, shellWord } from "./commands.js";

// Which bound of a metric is the one in its good direction: a limit `NAME=VALUE` of a cost says at most, one of a
// quality that should be high says at least.
function usualBound(metric) {
  return metricOf(metric).direction === "max" ? "min" : "max";
}

export function searchRequest(body, names) {
  return {
    method: "POST",
    path: "/v1/searches",
    body,
    python: pythonSearch(body, names),
    cli: cliSearch("search run", body, names, [`--evaluations ${body.budget.evaluations}`]),
  };
}

function pythonSearch(body, names) {
  const targets = body.targets.map(names.target);
  const lines = [`    supernet=${JSON.stringify(names.supernet(body.supernet))},`];
  if (targets.length === 1) lines.push(`    target=${JSON.stringify(targets[0])},`);
  if (targets.length > 1) lines.push(`    targets=${pythonLiteral(targets)},`);
  lines.push(`    constraints=${pythonLiteral(pythonLimits(body.constraints, names))},`);
  if (body.objectives) lines.push(`    objectives=${pythonLiteral(body.objectives)},`);
  lines.push(`    budget=${body.budget.seconds ? pythonLiteral(body.budget) : body.budget.evaluations},`);
  for (const name of ["front", "confidence", "algorithm", "seed", "restrict", "labels"]) {
    const value = body[name];
    if (value !== undefined && value !== null && Object.keys(Object(value)).length + (typeof value === "object" ? 0 : 1) > 0) lines.push(`    ${name}=${pythonLiteral(value)},`);
  }
  return ["search = client.searches.create(", ...lines, ")", "front = search.wait(progress=True).front()", "for point in front:", `    print(point.id, point.value(${JSON.stringify(body.objectives[0])}))`];
}

function pythonLimits(constraints, names) {
  const limits = {};
  for (const limit of constraints) {
    const on = limit.target ? `@${names.target(limit.target)}` : "";
    for (const bound of ["max", "min"]) {
      const value = limit[bound];
      if (value === null || value === undefined) continue;
      limits[`${bound === usualBound(limit.metric) ? "" : `${bound}_`}${limit.metric}${on}`] = value;
    }
  }
  return limits;
}

export function limitOptions(constraints, names) {
  const signs = { max: "<=", min: ">=" };
  return constraints.flatMap((limit) => {
    const name = limit.target ? `${limit.metric}@${names.target(limit.target)}` : limit.metric;
    return ["max", "min"]
      .filter((bound) => limit[bound] !== null && limit[bound] !== undefined)
      .map((bound) => `--limit ${shellWord(`${name}${bound === usualBound(limit.metric) ? "=" : signs[bound]}${limit[bound]}`)}`);
  });
}

function cliSearch(command, body, names, more) {
  const options = [
    `--supernet ${shellWord(names.supernet(body.supernet))}`,
    ...body.targets.map((id) => `--target ${shellWord(names.target(id))}`),
    ...(body.front && body.targets.length > 1 ? [`--front ${body.front}`] : []),
    ...limitOptions(body.constraints, names),
    ...(body.objectives ?? []).map((name) => `--objective ${name}`),
    ...more,
  ];
  for (const [axis, choices] of Object.entries(body.restrict ?? {})) options.push(`--restrict ${shellWord(`${axis}=${choices.join(",")}`)}`);
  if (body.confidence !== undefined && command === "search run") options.push(`--confidence ${body.confidence}`);
  if (body.seed) options.push(`--seed ${body.seed}`);
  return `${command} ${options.join(" \\\n  ")}`;
}

export function frontRequest(search, target, names) {
  const query = target ? `?target=${target}` : "";
  return {
    method: "GET",
    path: `/v1/searches/${search}/front${query}`,
    python: [`search = client.searches.get("${search}")`, "front = search.front()", "print(front.pick())", 'front.save("front.csv")'],
    cli: `front show ${search}`,
  };
}

export function supernetRequest(zoo) {
  return { method: "POST", path: "/v1/supernets", body: { zoo }, python: `client.supernets.add(${JSON.stringify(zoo)})`, cli: `supernets add ${shellWord(zoo)}` };
}

export function targetRequest() {
  return { method: "POST", path: "/v1/targets", body: { kind: "cpu", name: "cpu" }, python: 'client.targets.add("cpu", name="cpu")', cli: "targets add cpu --name cpu" };
}

export function measureRequest(target, supernet, count, names) {
  return {
    method: "POST",
    path: `/v1/targets/${target}/measurements`,
    body: { supernet, count },
    python: [`target = client.targets.get(${JSON.stringify(names.target(target))})`, `target.measure(${JSON.stringify(names.supernet(supernet))}, count=${count}).wait(progress=True)`],
    cli: `targets measure ${shellWord(names.target(target))} --supernet ${shellWord(names.supernet(supernet))} --count ${count}`,
  };
}

export function evaluateRequest(supernet, count, names) {
  return {
    method: "POST",
    path: `/v1/supernets/${supernet}/evaluations`,
    body: { count },
    python: [`supernet = client.supernets.get(${JSON.stringify(names.supernet(supernet))})`, `supernet.evaluate(count=${count}).wait(progress=True)`],
    cli: `supernets evaluate ${shellWord(names.supernet(supernet))} --count ${count}`,
  };
}

export function fitRequest(supernet, target, metric, names) {
  const on = target ? ` --target ${shellWord(names.target(target))}` : "";
  const of = target ? `, target=${JSON.stringify(names.target(target))}` : "";
  return {
    method: "POST",
    path: "/v1/predictors",
    body: { supernet, target, metric },
    python: `client.predictors.fit(${JSON.stringify(names.supernet(supernet))}, metric=${JSON.stringify(metric)}${of}).job.wait(progress=True)`,
    cli: `predictors fit --supernet ${shellWord(names.supernet(supernet))} --metric ${metric}${on}`,
  };
}

export function exportRequest(subnet, body, file) {
  const options = Object.entries(body);
  return {
    method: "POST",
    path: `/v1/subnets/${subnet}/exports`,
    body,
    python: `client.subnets.get(${JSON.stringify(subnet)}).download_onnx(${JSON.stringify(file)}, ${options.map(([name, value]) => `${name}=${pythonLiteral(value)}`).join(", ")}, progress=True)`,
    cli: `export ${subnet} ${options.map(([name, value]) => `--${name} ${shellWord(value)}`).join(" ")} --out ${file}`,
  };
}

// A list, or one thing with an id, as the API and its clients show it.
export function listRequest(path, python, cli) {
  return { method: "GET", path, python, cli };
}

// `body` is that of POST /v1/trainings: what is not set is left to the API.
export function trainingRequest({ name, ...options }) {
  const flags = { source: "from" };
  const python = Object.entries(options).map(([option, value]) => `    ${option}=${pythonLiteral(value)},`);
  const cli = Object.entries(options).map(([option, value]) => `--${flags[option] ?? option} ${shellWord(String(value))}`);
  return {
    method: "POST",
    path: "/v1/trainings",
    body: { name, ...options },
    python: ["job = client.trainings.create(", `    ${pythonLiteral(name)},`, ...python, ")", "job.wait(progress=True)"],
    cli: `supernets train ${[shellWord(name), ...cli].join(" \\\n  ")}`,
  };
}

export function jobRequest(job) {
  return { method: "GET", path: `/v1/jobs/${job}`, python: `client.jobs.get("${job}").wait(progress=True)`, cli: `jobs watch ${job}` };
}

export function extendRequest(search, body, names) {
  const limits = body.constraints ? [`constraints=${pythonLiteral(pythonLimits(body.constraints, names))}`] : [];
  const arguments_ = [`evaluations=${body.evaluations}`, ...limits];
  const options = [`--evaluations ${body.evaluations}`, ...limitOptions(body.constraints ?? [], names)];
  return {
    method: "POST",
    path: `/v1/searches/${search}:extend`,
    body,
    python: [`search = client.searches.get("${search}").extend(${arguments_.join(", ")})`, "search.wait(progress=True)"],
    cli: `search extend ${search} ${options.join(" ")}`,
  };
}
