// Serves the published TypeScript runtime with LangGraph agents: node langgraph.mjs DEPLOYMENT_URL GRAPH_ID... (PORT in
// the environment). An agent keeps what its last run left in it, so each request gets a runtime of its own.
import { createServer } from "node:http";

import {
  CopilotRuntime,
  ExperimentalEmptyAdapter,
  LangGraphAgent,
  copilotRuntimeNodeHttpEndpoint,
} from "@copilotkit/runtime";

const ENDPOINT = "/api/copilotkit";
const [deploymentUrl, ...graphIds] = process.argv.slice(2);

function handler() {
  const agents = Object.fromEntries(
    graphIds.map((graphId) => [graphId, new LangGraphAgent({ deploymentUrl, graphId })]),
  );
  return copilotRuntimeNodeHttpEndpoint({
    runtime: new CopilotRuntime({ agents }),
    serviceAdapter: new ExperimentalEmptyAdapter(),
    endpoint: ENDPOINT,
  });
}

const server = createServer((request, response) => handler()(request, response));
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`ready http://127.0.0.1:${server.address().port}${ENDPOINT}`);
});
