import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { own } from "./cleanup.mjs";
import { eventually } from "./eventually.mjs";

const CHECKOUT = fileURLToPath(new URL("../../..", import.meta.url));
const GRAPHQL_PATH = "/api/copilotkit";
const START_MS = 60_000;
const STOP_MS = 10_000;
// It listens before it serves: one that cannot start hangs up on whoever waits, and has the reason in its log.
const NOT_THERE = ["ECONNREFUSED", "ECONNRESET", "UND_ERR_SOCKET"];

/**
 * Serves `target` (`FILE.py:runtime`, relative to the checkout) with the command users use, on a free port.
 * `variables` go into its environment.
 *
 * With `COPILOTKIT_E2E_URL` set, nothing is started: that runtime is tested instead.
 */
export async function startRuntime(target, variables = {}) {
  const running = process.env.COPILOTKIT_E2E_URL;
  if (running) return { url: running, stop: async () => {} };

  const port = await freePort();
  const server = serve(target, port, variables);
  const url = `http://127.0.0.1:${port}${GRAPHQL_PATH}`;
  await eventually(() => isHealthy(server, url), { withinMs: START_MS, what: `${target} to be healthy` });
  return { url, stop: () => stop(server.process) };
}

function serve(target, port, variables) {
  const command = ["serve", target, "--port", String(port)];
  const { OPENAI_API_KEY, ...env } = process.env; // with a key, the demo would ask a real model
  const child = spawn(".venv/bin/copilotkit-runtime", command, {
    cwd: CHECKOUT,
    env: { ...env, COPILOTKIT_SHOW_ERRORS: "false", ...variables }, // as in production
    stdio: ["ignore", "pipe", "pipe"],
  });
  const server = { process: own(child), log: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => (server.log += text));
  }
  return server;
}

async function isHealthy(server, url) {
  if (server.process.exitCode !== null) {
    throw new Error(`the runtime exited with ${server.process.exitCode}:\n${server.log}`);
  }
  const response = await fetch(`${url}/health`).catch(refused);
  return response?.status === 200;
}

function refused(error) {
  if (!NOT_THERE.includes(error.cause?.code)) throw error;
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const stubborn = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await exited;
  clearTimeout(stubborn);
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
