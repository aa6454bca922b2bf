import { AbstractAgent } from "@ag-ui/client";
import { Observable } from "rxjs";

import { play, readScript } from "./script.mjs";

const TERMINAL = new Set(["RUN_FINISHED", "RUN_ERROR"]);

async function playRun({ threadId, runId, messages }, subscriber) {
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

/** An agent that plays the script it is asked to; it opens and closes the run where the script does not. */
export class ScriptedAgent extends AbstractAgent {
  run(input) {
    return new Observable((subscriber) => {
      playRun(input, subscriber).catch((error) => subscriber.error(error));
    });
  }
}
