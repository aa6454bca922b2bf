import { readFileSync } from "node:fs";

import { buildSchema, GraphQLDirective, GraphQLSchema, parse, validate } from "graphql";
import { DirectiveLocation, GraphQLBoolean, GraphQLInt, GraphQLString } from "graphql";

const { FRAGMENT_SPREAD, INLINE_FRAGMENT, FIELD } = DirectiveLocation;
const defer = new GraphQLDirective({
  name: "defer",
  locations: [FRAGMENT_SPREAD, INLINE_FRAGMENT],
  args: { if: { type: GraphQLBoolean }, label: { type: GraphQLString } },
});
const stream = new GraphQLDirective({
  name: "stream",
  locations: [FIELD],
  args: { if: { type: GraphQLBoolean }, label: { type: GraphQLString }, initialCount: { type: GraphQLInt } },
});

function loadSchema() {
  const sdl = readFileSync(new URL("../../schema/schema.graphql", import.meta.url), "utf8");
  const config = buildSchema(sdl).toConfig();
  return new GraphQLSchema({ ...config, directives: [...config.directives, defer, stream] });
}

const schema = loadSchema();

/** The documents that a client sends for all its operations, by operation name. */
export async function documentsOf({ api }) {
  const documents = {};
  const original = globalThis.fetch;
  globalThis.fetch = async (_, { body }) => {
    const { operationName, query } = JSON.parse(body);
    documents[operationName] = query;
    return Response.json({ data: null });
  };
  try {
    const client = new api.CopilotRuntimeClient({ url: "http://server.invalid/" });
    await client.generateCopilotResponse({ data: {}, properties: {} }).toPromise();
    await client.availableAgents?.().toPromise();
    await client.loadAgentState?.({ threadId: "thread", agentName: "scripted" }).toPromise();
  } finally {
    globalThis.fetch = original;
  }
  return documents;
}

/** What a document asks that the contract's SDL does not answer. */
export const unanswered = (document) => validate(schema, parse(document)).map(({ message }) => message);
