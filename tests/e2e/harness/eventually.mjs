import { setTimeout as pause } from "node:timers/promises";

const POLL_MS = 25;

/** Asks `question` until its answer is truthy, and returns that answer; throws after `withinMs`. */
export async function eventually(question, { withinMs = 30_000, what = "the condition" } = {}) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
    await pause(POLL_MS);
  }
}
