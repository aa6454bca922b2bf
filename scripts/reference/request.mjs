// Prints the request bodies that the published client sends for its operations, one JSON object a line.
import { CopilotRuntimeClient } from "@copilotkit/runtime-client-gql";

globalThis.fetch = async (_, { body }) => {
  console.log(body);
  return Response.json({ data: null });
};

const client = new CopilotRuntimeClient({ url: "http://client.invalid/" });
const data = { metadata: { requestType: "Chat" }, frontend: { actions: [] }, messages: [] };
await client.generateCopilotResponse({ data, properties: {} }).toPromise();
await client.availableAgents().toPromise();
await client.loadAgentState({ threadId: "thread", agentName: "scripted" }).toPromise();
