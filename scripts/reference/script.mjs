import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";

const never = () => new Promise(() => {});

/** A script is the JSON text of the last text message of a request. */
export function readScript(text) {
  const script = JSON.parse(text);
  if (!Array.isArray(script)) throw new TypeError("A script is a JSON array of steps");
  return script;
}

/** Gives each event to `emit` when its time has come; steps without `after` (seconds) follow at once. */
export async function play(script, emit) {
  for (const step of script) {
    if (step.after !== undefined) await (step.after > 0 ? sleep(step.after * 1000) : turn());
    if (step.hang) await never();
    if (step.raise !== undefined) throw new Error(step.raise);
    emit(step.event);
  }
}
