import { play, readScript } from "./script.mjs";

const TERMINAL = new Set(["RUN_FINISHED", "RUN_ERROR"]);

/** Plays the script that the last user message is; opens and closes the run where the script does not. */
export async function playRun({ threadId, runId, messages }, subscriber) {
  const script = readScript(messages.findLast((message) => message.role === "user").content);
  let last = "RUN_STARTED";
  if (script[0]?.event?.type !== last) subscriber.next({ type: last, threadId, runId });
  await play(script, (event) => {
    last = event.type;
    subscriber.next(event);
  });
  if (!TERMINAL.has(last)) subscriber.next({ type: "RUN_FINISHED", threadId, runId });
  subscriber.complete();
}
