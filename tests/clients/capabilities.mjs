import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { newThread } from "./session.mjs";

const PACE = 0.01;
const SOON = 5000;
const ABORTED = "signal is aborted without reason";

const paced = (...events) => events.map((event) => ({ event, after: PACE }));
const start = { type: "TEXT_MESSAGE_START", messageId: "m-1", role: "assistant" };
const content = (delta) => ({ type: "TEXT_MESSAGE_CONTENT", messageId: "m-1", delta });
const end = { type: "TEXT_MESSAGE_END", messageId: "m-1" };

async function text(session) {
  const { messages, status } = await session.finish(paced(start, content("Hello, "), content("wörld 🌍"), end));
  assert.deepEqual(messages.map((message) => message.content), ["Hello, wörld 🌍"]);
  assert.equal(messages[0].status.code, "Success");
  assert.equal(status.code, "Success");
}

async function toolCall(session) {
  const call = { toolCallId: "call-1" };
  const script = paced(
    { type: "TOOL_CALL_START", toolCallName: "setColor", ...call },
    { type: "TOOL_CALL_ARGS", delta: '{"color":', ...call },
    { type: "TOOL_CALL_ARGS", delta: '"teal"}', ...call },
    { type: "TOOL_CALL_END", ...call },
  );
  const { messages } = await session.finish(script);
  assert.deepEqual(messages.map(({ id, name, arguments: args }) => ({ id, name, args })), [
    { id: "call-1", name: "setColor", args: { color: "teal" } },
  ]);
  assert.equal(messages[0].status.code, "Success");
}

async function agentState(session) {
  const script = paced(
    { type: "STEP_STARTED", stepName: "plan" },
    { type: "STATE_SNAPSHOT", snapshot: { count: 1 } },
    { type: "STATE_SNAPSHOT", snapshot: { count: 2 } },
    { type: "STEP_FINISHED", stepName: "plan" },
  );
  const { messages } = await session.finish(script, { agent: true });
  const state = messages.at(-1);
  assert.deepEqual([state.agentName, state.nodeName, state.state], ["scripted", "plan", { count: 2 }]);
}

async function interrupt(session) {
  const script = paced({ type: "CUSTOM", name: "on_interrupt", value: "May I?" });
  const { metaEvents } = await session.finish(script, { agent: true });
  assert.deepEqual(metaEvents.map(({ name, value }) => [name, value]), [["LangGraphInterruptEvent", "May I?"]]);
}

async function error(session) {
  const { messages, status } = await session.finish([...paced(start, content("Hel")), { raise: "secret", after: PACE }]);
  assert.equal(messages[0].status.code, "Failed");
  assert.deepEqual([status.code, status.reason], ["Failed", "UNKNOWN_ERROR"]);
  assert.ok(status.details.description && !status.details.description.includes("secret"));
}

/** Reads a run until its first text and stops it. Client 1.4 tells its page so, the others end in silence. */
async function stop(session, threadId) {
  const controller = new AbortController();
  const script = [...paced(start, content("Hel")), { hang: true }];
  try {
    for await (const { messages } of session.run(script, { agent: true, threadId, signal: controller.signal })) {
      if (messages[0]?.content?.length) controller.abort(new DOMException(ABORTED, "AbortError"));
    }
  } catch (error) {
    assert.ok(error.message.includes(ABORTED), error);
  }
  assert.ok(controller.signal.aborted);
}

/** Stops a run that would never end, then asks for another on the same thread: both must end. */
async function abort(session) {
  const threadId = newThread();
  await stop(session, threadId);
  const { messages } = await session.finish(paced(start, content("Again"), end), { agent: true, threadId });
  assert.equal(messages[0].content, "Again");
}

/** What a client's user can do, and what its documents must ask for to be able to. */
export const capabilities = [
  { name: "text", play: text },
  { name: "tool call", play: toolCall },
  { name: "agent state", needs: "AgentStateMessageOutput", play: agentState },
  { name: "interrupt", needs: "metaEvents", play: interrupt },
  { name: "error", play: error },
  { name: "abort", play: abort },
];

/** Plays a capability, within a limit. */
export async function play(capability, session) {
  const limit = new AbortController();
  const late = sleep(SOON, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`no end within ${SOON} ms`);
  });
  try {
    await Promise.race([capability.play(session), late]);
  } finally {
    limit.abort();
    late.catch(() => {});
  }
}
