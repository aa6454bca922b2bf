import { Conversation, ended, text } from "./conversation.mjs";
import { eventually } from "./eventually.mjs";

/** When the run of agent `endless` on this thread was cancelled (Unix time, ms), as agent `witness` saw it. */
export function cancellation(url, threadId) {
  return eventually(() => cancelledAt(url, threadId), { what: `the run of thread ${threadId} to be cancelled` });
}

/** Lets the answer go on that halts for `id`. */
export async function letGoOn(url, id) {
  await ended(new Conversation(url, { agent: "witness" }).say(`go on ${id}`));
}

async function cancelledAt(url, threadId) {
  const report = text(await ended(new Conversation(url, { agent: "witness" }).say(threadId)));
  return Number(/^cancelled (\d+)$/.exec(report)?.[1]);
}
