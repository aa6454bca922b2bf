import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

// Node's ESM interop hides untruncate-json's default export from the client's ESM build, which then reads every
// tool call's arguments as {}; its CommonJS build reads them.
const {
  CopilotRuntimeClient,
  ResultMessage,
  TextMessage,
  convertGqlOutputToMessages,
  convertMessagesToGqlInput,
  filterAdjacentAgentStateMessages,
  filterAgentStateMessages,
} = createRequire(import.meta.url)("@copilotkit/runtime-client-gql");

/** The messages by which agents ask: `useCopilotChat` keeps them in the chat, and what answers them is the next message. */
function questions({ metaEvents = [] }) {
  const asked = metaEvents.filter(({ name }) => name === "CopilotKitLangGraphInterruptEvent");
  return asked.flatMap(({ data }) => convertGqlOutputToMessages(data.messages));
}

/** One thread, driven with the published client the way `useCopilotChat` drives it. */
export class Conversation {
  constructor(url, { agent, tools = [] } = {}) {
    this.agent = agent;
    this.tools = tools;
    this.threadId = randomUUID();
    this.messages = [];
    this.warnings = [];
    this.client = new CopilotRuntimeClient({ url, handleGQLWarning: (text) => this.warnings.push(text) });
  }

  /** Sends a user's turn; yields what the client holds after each part that arrives. For `options` see `run`. */
  async *say(content, options) {
    this.messages.push(new TextMessage({ role: "user", content }));
    yield* this.run(options);
  }

  /** Hands in the result of a tool call; yields as `say` does. */
  async *give(call, result, options) {
    this.messages.push(new ResultMessage({ actionExecutionId: call.id, actionName: call.name, result }));
    yield* this.run(options);
  }

  /** Asks for an answer to what was said so far; `data` goes into the request as it is. */
  async *run({ signal, ...data } = {}) {
    const request = this.client.generateCopilotResponse({ data: { ...this.input(), ...data }, signal });
    let view = emptyView();
    for await (const part of this.client.asStream(request)) {
      if (part?.generateCopilotResponse) yield (view = toView(part.generateCopilotResponse));
    }
    this.messages.push(...filterAgentStateMessages(view.messages), ...questions(view));
  }

  input() {
    return {
      threadId: this.threadId,
      messages: convertMessagesToGqlInput(this.messages),
      frontend: { actions: this.tools, url: "http://127.0.0.1/" },
      metadata: { requestType: "Chat" },
      forwardedParameters: {},
      ...(this.agent && { agentSession: { agentName: this.agent } }),
    };
  }
}

/** The last view of a run. */
export async function ended(run) {
  let last = emptyView();
  for await (const view of run) last = view;
  return last;
}

/** All views of a run. */
export async function collected(run) {
  const views = [];
  for await (const view of run) views.push(view);
  return views;
}

function emptyView() {
  return { messages: [], rawMessages: [], metaEvents: [], status: undefined };
}

function toView({ threadId, status, messages, metaEvents }) {
  return {
    threadId,
    status,
    rawMessages: structuredClone(messages),
    metaEvents: metaEvents ?? [],
    messages: convertGqlOutputToMessages(filterAdjacentAgentStateMessages(messages)),
  };
}

/** What an assistant has said in a view. */
export function text(view) {
  return view.messages
    .filter((message) => message.isTextMessage())
    .map((message) => message.content)
    .join("\n");
}

/** The tool calls of a view. */
export function toolCalls(view) {
  return view.messages.filter((message) => message.isActionExecutionMessage());
}

/** The states of an agent that a view holds, oldest first. */
export function states(view) {
  return view.rawMessages
    .filter((message) => message.__typename === "AgentStateMessageOutput")
    .map((message) => ({ ...message, state: JSON.parse(message.state) }));
}
