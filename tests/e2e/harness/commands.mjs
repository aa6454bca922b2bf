import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { stripVTControlCharacters } from "node:util";

import { own } from "./cleanup.mjs";
import { eventually } from "./eventually.mjs";

const LOCAL = /http:\/\/(?:localhost|127\.0\.0\.1):\d+\S*(?=\s)/;
const START_MS = 300_000;

/**
 * Gives `commands` to a shell in `folder`, as a reader does, until one of them serves and prints where.
 *
 * `variables` go into the environment; `printed` is called with all that was printed, whenever there is more. On a
 * `terminal` that is what a person sees there, with colours. Returns the URL, and a function that stops what serves.
 */
export async function giveCommands(commands, folder, variables = {}, { printed = () => {}, terminal = false } = {}) {
  const bash = ["bash", "-euo", "pipefail", "-c", commands];
  const [program, ...words] = terminal ? ["script", "--quiet", "--return", "--command", commands, "/dev/null"] : bash;
  const shell = spawn(program, words, {
    cwd: folder,
    env: { ...process.env, ...(terminal ? { TERM: "xterm" } : { NO_COLOR: "1" }), ...variables },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  shell.kill = (signal) => process.kill(-shell.pid, signal); // what the shell started ends with it
  own(shell);
  let output = "";
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on("data", (text) => printed((output += text)));
  }
  const url = await eventually(() => urlIn(shell, stripVTControlCharacters(output)), { withinMs: START_MS, what: "the commands to serve" });
  return { url, stop: () => stop(shell) };
}

function urlIn(shell, output) {
  if (shell.exitCode !== null) throw new Error(`the commands ended with ${shell.exitCode}:\n${output}`);
  return LOCAL.exec(output)?.[0];
}

async function stop(shell) {
  if (shell.exitCode !== null || shell.signalCode !== null) return;
  shell.ref();
  const exited = once(shell, "exit");
  shell.kill("SIGTERM");
  await exited;
}
