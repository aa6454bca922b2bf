// Serves the published TypeScript runtime, which speaks AG-UI, with a scripted agent: node server.mjs [port]
import { createServer } from "node:http";

import { CopilotRuntime } from "@copilotkit/runtime/v2";
import { createCopilotNodeListener } from "@copilotkit/runtime/v2/node";

import { ScriptedAgent } from "./agent.mjs";

const ENDPOINT = "/api/copilotkit";

const runtime = new CopilotRuntime({
  agents: { scripted: new ScriptedAgent({ agentId: "scripted", description: "Plays scripts" }) },
});
const server = createServer(createCopilotNodeListener({ runtime, basePath: ENDPOINT, cors: true }));
server.listen(Number(process.argv[2] ?? process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`ready http://127.0.0.1:${server.address().port}${ENDPOINT}`);
});
