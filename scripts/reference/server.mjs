// Serves the published TypeScript runtime with scripted answers: node server.mjs [port]
import { createServer } from "node:http";

import { CopilotRuntime, copilotRuntimeNodeHttpEndpoint } from "@copilotkit/runtime";

import { ScriptedAdapter } from "./adapter.mjs";
import { ScriptedAgent } from "./agent.mjs";

const ENDPOINT = "/api/copilotkit";

const greet = {
  name: "srvHello",
  description: "Greets someone",
  parameters: [{ name: "name", type: "string", description: "who" }],
  handler: async ({ name }) => `hello ${name}`,
};

const runtime = new CopilotRuntime({
  agents: { scripted: new ScriptedAgent({ agentId: "scripted", description: "Plays scripts" }) },
  actions: [greet],
});
const handler = copilotRuntimeNodeHttpEndpoint({
  runtime,
  serviceAdapter: new ScriptedAdapter(),
  endpoint: ENDPOINT,
});
const server = createServer(handler);
server.listen(Number(process.argv[2] ?? process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`ready http://127.0.0.1:${server.address().port}${ENDPOINT}`);
});
