import { setTimeout as sleep } from "node:timers/promises";

globalThis.window ??= globalThis; // without a window the cores take Node for a server, and do not connect

const PATIENCE = 8000;

let threads = 0;

/** A thread that no other page uses. */
export const newThread = () => `core-${process.pid}-${++threads}`;

/** Waits until `check` gives something, and gives it back. */
export async function until(check, what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(10);
  }
}

/** What a page of one version has: a core that is connected, in one of the ways, to one server. */
export class Page {
  errors = [];
  custom = [];

  constructor(version, transport, url) {
    this.version = version;
    this.transport = transport;
    this.url = url;
  }

  async open({ tools = [] } = {}) {
    const { CopilotKitCore } = await import(`core-${this.version.replaceAll(".", "-")}`);
    this.core = new CopilotKitCore({
      runtimeUrl: this.url,
      runtimeTransport: this.transport,
      headers: { authorization: "Bearer page", "x-page": "yes", cookie: "secret=1" },
      properties: { color: "blue" },
      tools,
    });
    this.core.subscribe({ onError: ({ error }) => this.errors.push(String(error?.message ?? error)) });
    await until(() => this.core.runtimeConnectionStatus === "connected", "the connection");
    return this;
  }

  /** An agent of the page on a thread. */
  agent(name = "default", threadId = newThread()) {
    const agent = this.core.getAgent(name);
    if (!agent) throw new Error(`there is no agent ${name}`);
    agent.threadId = threadId;
    agent.subscribe({ onCustomEvent: ({ event }) => void this.custom.push(event) });
    return agent;
  }

  /** Has an agent play a script; with a text, that text is the user's. */
  async run(agent, script) {
    const content = typeof script === "string" ? script : JSON.stringify(script);
    agent.addMessage({ id: `user-${newThread()}`, role: "user", content });
    return this.core.runAgent({ agent });
  }
}

/** The text of the last assistant message. */
export const lastText = (agent) =>
  agent.messages.filter(({ role, content }) => role === "assistant" && content).at(-1)?.content ?? "";
