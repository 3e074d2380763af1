// Downloads by fetch and blob: a link could not carry the key.

import { request } from "./api.js";
import { element } from "./elements.js";

export async function download(path, name) {
  const answer = await request("GET", path);
  save(await answer.blob(), name ?? nameOf(answer));
}

function nameOf(answer) {
  const match = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
  return match ? match[1] : "download";
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
