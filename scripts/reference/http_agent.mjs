// Serves the published TypeScript runtime with the agent behind an AG-UI URL: node http_agent.mjs URL NAME (PORT in the
// environment). An agent keeps what its last run left in it, so each request gets a runtime of its own.
import { createServer } from "node:http";

import { HttpAgent } from "@ag-ui/client";
import { CopilotRuntime, ExperimentalEmptyAdapter, copilotRuntimeNodeHttpEndpoint } from "@copilotkit/runtime";

const ENDPOINT = "/api/copilotkit";
const [url, name] = process.argv.slice(2);

function handler() {
  return copilotRuntimeNodeHttpEndpoint({
    runtime: new CopilotRuntime({ agents: { [name]: new HttpAgent({ url }) } }),
    serviceAdapter: new ExperimentalEmptyAdapter(),
    endpoint: ENDPOINT,
  });
}

const server = createServer((request, response) => handler()(request, response));
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`ready http://127.0.0.1:${server.address().port}${ENDPOINT}`);
});
