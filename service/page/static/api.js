// The public API: JSON in, JSON out. The key stays in this tab's session and travels in a header only.

const KEY = "netwright-key";

export class Problem extends Error {
  constructor(body, request) {
    super(body.detail || body.title);
    this.body = body;
    this.request = request;
  }
}

export function currentKey() {
  return sessionStorage.getItem(KEY);
}

export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export function authorisation() {
  const key = currentKey();
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

export async function request(method, path, body, { signal, headers = {} } = {}) {
  const options = { method, signal, headers: { ...authorisation(), ...headers } };
  if (body !== undefined && method !== "GET") {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(unreachable(), { method, path });
  }
  if (!answer.ok) throw new Problem(await problemOf(answer), { method, path });
  return answer;
}

function unreachable() {
  return {
    status: 0,
    code: "unreachable",
    title: "No answer",
    detail: `The service at ${location.origin} does not answer. Is it running?`,
    errors: [],
    actions: [],
  };
}

async function problemOf(answer) {
  const text = await answer.text();
  try {
    const body = JSON.parse(text);
    if (typeof body.detail === "string") return body;
  } catch {
    // Not the service's own answer, for example that of a proxy.
  }
  return { status: answer.status, code: "http_error", title: answer.statusText, detail: text.slice(0, 500) || answer.statusText, errors: [], actions: [] };
}

export async function get(path, query = {}, options = {}) {
  const answer = await request("GET", withQuery(path, query), undefined, options);
  return answer.json();
}

export async function post(path, body, options = {}) {
  const answer = await request("POST", path, body, options);
  return answer.status === 204 ? null : answer.json();
}

export function withQuery(path, query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) parameters.append(name, each);
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

// The rows of a list, newest first, at most `most`.
export async function list(path, query = {}, most = 500, options = {}) {
  const rows = [];
  let token = null;
  do {
    const size = Math.min(500, most - rows.length);
    const page = await get(path, { ...query, page_size: size, page_token: token }, options);
    rows.push(...page.items);
    token = page.next_page_token;
  } while (token !== null && rows.length < most);
  return rows;
}

let schema = null;

// A field of a body as the OpenAPI document has it, read once: its description, default and choices, which are its
// `enum` or else its examples.
export async function fieldOf(model, field) {
  schema ??= get("/openapi.json").catch((error) => { schema = null; throw error; });
  const found = (await schema).components.schemas[model]?.properties?.[field] ?? {};
  const single = found.const ?? found.default;
  const words = found.enum ?? found.anyOf?.find((each) => each.enum)?.enum; // a field that may be absent is an anyOf with null
  return { description: found.description ?? "", default: found.default ?? null, choices: words ?? found.examples ?? (single === undefined ? [] : [single]) };
}
