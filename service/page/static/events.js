// Server-sent events by fetch, so that the key stays in a header. A lost stream is resumed after its last event.

import { Problem, get, request } from "./api.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;

// Calls `onEvent({id, type, data})` for each event of a job until it has ended or `signal` aborts.
// `onConnection(true | false)` says whether the stream is open.
export async function followJob(id, { onEvent, onConnection = () => {}, signal, after = 0 }) {
  let last = after;
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    try {
      const answer = await request("GET", `/v1/jobs/${id}/events`, undefined, {
        signal,
        headers: { "Last-Event-ID": String(last) },
      });
      onConnection(true);
      pause = FIRST_PAUSE;
      for await (const event of parse(answer.body)) {
        last = event.id;
        onEvent(event);
      }
      // The stream was closed in good order: the job has ended, unless the service is being stopped.
      const { state } = await get(`/v1/jobs/${id}`, {}, { signal });
      if (isFinal(state)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.body.status >= 400 && error.body.status < 500) throw error;
    }
    onConnection(false);
    await wait(pause, signal);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}

export function isFinal(state) {
  return ["succeeded", "failed", "cancelled"].includes(state);
}

async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== null) yield event;
    }
  }
}

function eventOf(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trim();
  }
  return fields.data === undefined ? null : { id: Number(fields.id), type: fields.event, data: JSON.parse(fields.data) };
}

function wait(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
