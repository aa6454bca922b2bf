import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { Conversation, collected, ended, states, text, toolCalls } from "./harness/conversation.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { cancellation } from "./harness/witness.mjs";

const FOX = "The quick brown fox (naïve, 素早い, 🦊) jumps over the lazy dog.";
const CHANGE_BACKGROUND = {
  name: "changeBackground",
  description: "Changes the background colour of the page.",
  jsonSchema: JSON.stringify({
    type: "object",
    properties: { color: { type: "string", description: "Any CSS colour." } },
    required: ["color"],
  }),
};

// What useCopilotChatSuggestions asks for.
const EXTRACT = {
  name: "extract",
  description: "Suggests what to say next.",
  jsonSchema: JSON.stringify({
    type: "object",
    properties: { suggestions: { type: "array", items: { type: "object" } } },
    required: ["suggestions"],
  }),
};

const MOMENTS = {
  before: "before it said anything",
  middle: "in the middle of a message",
  after: "after its last message",
};

describe("the published client", { timeout: 60_000 }, () => {
  const conversations = [];
  let runtime;

  before(async () => {
    runtime = await startRuntime("tests/e2e/agents.py:runtime");
  });

  after(() => runtime?.stop());

  function converse(options) {
    const conversation = new Conversation(runtime.url, options);
    conversations.push(conversation);
    return conversation;
  }

  test("sees an agent's text grow while it is said", async () => {
    const views = await collected(converse({ agent: "speaker" }).say("Speak."));
    const texts = [...new Set(views.map(text))];

    assert.equal(texts.at(-1), FOX);
    assert.ok(texts.length >= 5, `the text came in ${texts.length} increments`);
    for (const [index, longer] of texts.slice(1).entries()) assert.ok(longer.startsWith(texts[index]));
  });

  test("sees a run and each of its messages succeed", async () => {
    const conversation = converse({ agent: "speaker" });
    const view = await ended(conversation.say("Speak."));

    assert.equal(view.threadId, conversation.threadId);
    assert.deepEqual(view.status, { __typename: "SuccessResponseStatus", code: "Success" });
    for (const message of view.rawMessages) assert.equal(message.status?.code, "Success", message.__typename);
  });

  test("is answered by the runtime's model when it names no agent", async () => {
    const views = await collected(converse().say("good morning"));

    assert.equal(text(views.at(-1)), "You said: good morning");
    assert.ok(new Set(views.map(text)).size >= 3);
  });

  test("runs a tool that an agent calls, and hears the agent use the result", async () => {
    const conversation = converse({ agent: "painter", tools: [CHANGE_BACKGROUND] });
    const views = await collected(conversation.say("Paint the page."));
    const [call] = toolCalls(views.at(-1));

    assert.equal(call.name, "changeBackground");
    assert.deepEqual(call.arguments, { color: "teal" });
    assert.equal(call.status.code, "Success");

    const answer = await ended(conversation.give(call, "all teal"));
    assert.equal(text(answer), "The page says: all teal");
  });

  test("sees a tool call's arguments grow", async () => {
    const views = await collected(converse({ agent: "painter", tools: [CHANGE_BACKGROUND] }).say("Paint."));
    const lengths = new Set(
      views
        .flatMap((view) => view.rawMessages)
        .filter((message) => message.__typename === "ActionExecutionMessageOutput")
        .map((message) => message.arguments.join("").length),
    );
    assert.ok(lengths.size >= 3, `seen with lengths ${[...lengths]}`);
  });

  test("runs a tool that the runtime's model calls, and hears the model use the result", async () => {
    const conversation = converse({ tools: [CHANGE_BACKGROUND] });
    const [call] = toolCalls(await ended(conversation.say("paint it")));
    assert.deepEqual([call.name, call.arguments], ["changeBackground", { color: "teal" }]);

    const answer = await ended(conversation.give(call, "all teal"));
    assert.equal(text(answer), "The page says: all teal");
  });

  test("gets a task done by the one tool that it offers for it", async () => {
    const views = await collected(
      converse({ tools: [EXTRACT] }).say("What could I say next?", {
        metadata: { requestType: "Task" },
        forwardedParameters: { toolChoice: "function", toolChoiceFunctionName: "extract" },
      }),
    );
    const [call] = toolCalls(views.at(-1));
    assert.equal(call.name, "extract");
    assert.deepEqual(call.arguments, { suggestions: [{ title: "Paint it", message: "Please paint it." }] });
  });

  test("does not get a tool call for a tool it never offered", async () => {
    const view = await ended(converse({ agent: "painter" }).say("Paint the page."));
    assert.deepEqual(toolCalls(view), []);
    assert.equal(text(view), "There is no such tool.");
  });

  test("follows an agent's state from node to node", async () => {
    const conversation = converse({ agent: "counter" });
    const seen = states(await ended(conversation.say("Count.", counted(40))));
    const counts = seen.map(({ state }) => state.count).filter((count) => count !== undefined);

    assert.deepEqual([...new Set(counts)].slice(-2), [41, 42]);
    const nodes = seen.map(({ nodeName }) => nodeName).filter((nodeName) => nodeName !== "");
    assert.deepEqual([...new Set(nodes)], ["first", "second"]);
    for (const { agentName, threadId, role } of seen) {
      assert.deepEqual({ agentName, threadId, role }, {
        agentName: "counter",
        threadId: conversation.threadId,
        role: "assistant",
      });
    }
    assert.equal(seen.at(-1).active, false);
  });

  test("loads the state that a run left behind", async () => {
    const conversation = converse({ agent: "counter" });
    await ended(conversation.say("Count."));
    const loaded = await load(conversation, conversation.threadId);

    assert.equal(loaded.threadExists, true);
    assert.equal(JSON.parse(loaded.state).count, 2);
    assert.equal(JSON.parse(loaded.messages)[0].content, "Count.");
  });

  test("learns that a thread does not exist", async () => {
    const threadId = randomUUID();
    const loaded = await load(converse({ agent: "counter" }), threadId);
    assert.deepEqual(loaded, { threadId, threadExists: false, state: "{}", messages: "[]" });
  });

  test("keeps threads apart that run at the same time", async () => {
    const threads = [10, 20, 30].map((count) => ({ count, conversation: converse({ agent: "counter" }) }));
    const views = await Promise.all(
      threads.map(({ count, conversation }) => ended(conversation.say("Count.", counted(count)))),
    );
    assert.deepEqual(views.map((view) => states(view).at(-1).state.count), [12, 22, 32]);
  });

  test("receives the list of agents", async () => {
    const { data, error } = await converse().client.availableAgents();

    assert.equal(error, undefined);
    assert.deepEqual(data.availableAgents.agents.map(({ name }) => name).sort(), [
      "approver",
      "asker",
      "counter",
      "endless",
      "fragile",
      "host",
      "keeper",
      "painter",
      "speaker",
      "viewer",
      "witness",
    ]);
  });

  test("receives an error for an agent that does not exist", async () => {
    const error = await failure(converse({ agent: "nobody" }).say("Hello?"));

    assert.equal(error.graphQLErrors[0].extensions.code, "AGENT_NOT_FOUND");
    assert.match(error.message, /Agent 'nobody' was not found\. Available agents are: .*speaker/);
    assert.doesNotMatch(JSON.stringify(error.graphQLErrors), /Traceback|\.py/);
  });

  for (const moment of ["before", "middle", "after"]) {
    test(`receives the error of an agent that failed ${MOMENTS[moment]}, and the response ends`, async () => {
      const view = await ended(converse({ agent: "fragile" }).say(moment));

      assert.equal(view.status.__typename, "FailedResponseStatus");
      assert.equal(view.status.reason, "UNKNOWN_ERROR");
      assert.equal(text(view), moment === "before" ? "" : "It began");
      const answer = view.rawMessages.find((message) => message.__typename === "TextMessageOutput");
      assert.equal(answer?.status.code, { before: undefined, middle: "Failed", after: "Success" }[moment]);
      assert.doesNotMatch(JSON.stringify(view), /Traceback|\.py|a secret/);
    });
  }

  test("stops an agent within a second by going away", async () => {
    const conversation = converse({ agent: "endless" });
    const abort = new AbortController();
    const listening = (async () => {
      for await (const view of conversation.say("Go on.", { signal: abort.signal })) {
        if (text(view).length > 20) abort.abort();
      }
    })();
    await assert.rejects(listening, /abort/i);
    const gone = Date.now();

    const ranOn = (await cancellation(runtime.url, conversation.threadId)) - gone;
    assert.ok(ranOn < 1_000, `the agent ran on for ${ranOn} ms`);
  });

  test("answers an agent's question, and the agent goes on from there", async () => {
    const conversation = converse({ agent: "asker" });
    const [question] = (await ended(conversation.say("Ask me."))).metaEvents;

    assert.equal(question.name, "LangGraphInterruptEvent");
    assert.equal(question.value, "Which colour?");

    const { name, value } = question;
    const answer = await ended(conversation.run({ metaEvents: [{ name, value, response: "green" }] }));
    assert.equal(text(answer), "You chose green.");
    assert.deepEqual(answer.metaEvents, []);
  });

  test("answers a question that an agent asks by a tool call", async () => {
    const conversation = converse({ agent: "approver" });
    const [{ name, data }] = (await ended(conversation.say("May I?"))).metaEvents;

    assert.equal(name, "CopilotKitLangGraphInterruptEvent");
    assert.deepEqual(JSON.parse(data.value), { action: "approve", args: { what: "cake" } });
    const [call] = data.messages;
    assert.deepEqual([call.__typename, call.name], ["ActionExecutionMessageOutput", "approve"]);
    assert.deepEqual(JSON.parse(call.arguments.join("")), { what: "cake" });

    const answer = await ended(conversation.give(call, "yes"));
    assert.equal(text(answer), "The page said yes.");
    assert.deepEqual(answer.metaEvents, []);
  });

  test("never warns about versions", () => {
    assert.deepEqual(conversations.flatMap(({ warnings }) => warnings), []);
  });
});

function counted(count) {
  return { agentStates: [{ agentName: "counter", state: JSON.stringify({ count }) }] };
}

async function load({ client, agent }, threadId) {
  const { data, error } = await client.loadAgentState({ threadId, agentName: agent });
  assert.equal(error, undefined);
  const { __typename, ...loaded } = data.loadAgentState;
  return loaded;
}

async function failure(run) {
  try {
    await ended(run);
  } catch (error) {
    return error;
  }
  assert.fail("the run was expected to fail");
}
