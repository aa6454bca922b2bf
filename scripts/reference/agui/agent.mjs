import { AbstractAgent } from "@ag-ui/client";
import { Observable } from "rxjs";

import { playRun } from "../run.mjs";

/** An agent that plays the script it is asked to. */
export class ScriptedAgent extends AbstractAgent {
  run(input) {
    return new Observable((subscriber) => {
      playRun(input, subscriber).catch((error) => subscriber.error(error));
    });
  }
}
