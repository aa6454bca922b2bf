// A Mastra agent behind an AG-UI endpoint, with a tool of its own that asks before it books: node server.mjs PORT
import { createServer } from "node:http";
import { json } from "node:stream/consumers";

import { EventEncoder } from "@ag-ui/encoder";
import { MastraAgent } from "@ag-ui/mastra";
import { createOpenAI } from "@ai-sdk/openai";
import { Mastra } from "@mastra/core";
import { Agent } from "@mastra/core/agent";
import { InMemoryStore } from "@mastra/core/storage";
import { createTool } from "@mastra/core/tools";
import { z } from "zod";

const book = createTool({
  id: "book",
  description: "Books a table, when the person agrees.",
  inputSchema: z.object({ day: z.string() }),
  suspendSchema: z.object({ question: z.string() }),
  resumeSchema: z.any(),
  execute: async ({ day }, { agent }) => {
    if (agent.resumeData === undefined) return agent.suspend({ question: `Book for ${day}?` });
    return `Booked for ${day}: ${JSON.stringify(agent.resumeData)}`;
  },
});

const agent = new Agent({
  id: "chat",
  name: "chat",
  instructions: "You are a helpful assistant.",
  model: createOpenAI({ baseURL: process.env.OPENAI_BASE_URL }).chat("gpt-4o"),
  tools: { book },
});
const mastra = new Mastra({ agents: { chat: agent }, storage: new InMemoryStore() });

createServer(async (incoming, outgoing) => {
  const input = await json(incoming);
  const encoder = new EventEncoder({ accept: incoming.headers.accept });
  outgoing.writeHead(200, { "content-type": encoder.getContentType() });
  const running = new MastraAgent({ agentId: "chat", agent: mastra.getAgent("chat"), resourceId: "guest" }).run(input);
  const subscription = running.subscribe({
    next: (event) => outgoing.write(encoder.encodeBinary(event)),
    error: (error) => outgoing.destroy(error),
    complete: () => outgoing.end(),
  });
  outgoing.on("close", () => subscription.unsubscribe());
}).listen(Number(process.argv[2]), "127.0.0.1");
