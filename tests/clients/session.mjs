const COLOR = { type: "object", properties: { color: { type: "string" } }, required: ["color"] };

let threads = 0;

/** A thread that no other session uses. */
export const newThread = () => `matrix-${process.pid}-${++threads}`;

/** The key of an agent's state under which the page of a client's version sends its configuration. */
function configurationKey(version) {
  const [, minor, patch] = version.split(/[.-]/).map(Number);
  if (minor < 6) return undefined;
  return minor < 8 || (minor === 8 && patch < 11) ? "configurable" : "config";
}

/** What the page of a client's version adds to have the agent `scripted` answer instead of the model. */
function agentRun(version) {
  const key = configurationKey(version);
  const state = { agentName: "scripted", state: "{}", ...(key ? { [key]: "{}" } : {}) };
  return { agentSession: { agentName: "scripted" }, agentStates: [state] };
}

/** A thread with a message of each kind; the last one is the script, as its user's text. */
function thread({ TextMessage, ActionExecutionMessage, ResultMessage }, script) {
  const call = { name: "setColor", arguments: { color: "red" }, scope: "client" };
  return [
    new TextMessage({ id: "system-1", role: "system", content: "Be brief." }),
    new ActionExecutionMessage({ id: "call-0", ...call }),
    new ResultMessage({
      id: "result-0",
      actionExecutionId: "call-0",
      actionName: "setColor",
      result: ResultMessage.encodeResult?.("painted") ?? "painted",
    }),
    new TextMessage({ id: "user-1", role: "user", content: JSON.stringify(script) }),
  ];
}

/** One published client, talking to one server; it keeps what a page would have shown as a banner. */
export class Session {
  warnings = [];
  errors = [];

  constructor({ api, version }, url) {
    this.api = api;
    this.version = version;
    this.client = new api.CopilotRuntimeClient({
      url,
      handleGQLErrors: (error) => this.errors.push(error),
      handleGQLWarning: (warning) => this.warnings.push(warning),
    });
  }

  /** What a page asks for: a run that plays `script`, by the agent `scripted` or by the model. */
  request(script, threadId, agent) {
    return {
      metadata: { requestType: "Chat" },
      threadId,
      frontend: {
        actions: [{ name: "setColor", description: "Paints the page", jsonSchema: JSON.stringify(COLOR) }],
        ...(agent ? { url: "http://page.invalid/" } : {}),
      },
      messages: this.api.convertMessagesToGqlInput(thread(this.api, script)),
      ...(agent ? agentRun(this.version) : {}),
    };
  }

  /** The states of the response, as the client gives them to the page. */
  async *run(script, { threadId = newThread(), agent = false, signal } = {}) {
    const source = this.client.generateCopilotResponse({
      data: this.request(script, threadId, agent),
      properties: {},
      signal,
    });
    const asStream = this.client.asStream ?? this.api.CopilotRuntimeClient.asStream;
    for await (const state of asStream.call(this.client, source)) {
      if (state?.generateCopilotResponse) yield state.generateCopilotResponse;
    }
  }

  /** The last state, with its messages as the client converts them. */
  async finish(script, options) {
    let last;
    for await (const state of this.run(script, options)) last = state;
    return { ...last, messages: this.convert(last.messages) };
  }

  convert(messages) {
    const { filterAdjacentAgentStateMessages: filter, convertGqlOutputToMessages } = this.api;
    return convertGqlOutputToMessages(filter ? filter(messages) : messages);
  }
}
