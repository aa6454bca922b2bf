import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { Page, lastText, newThread, until } from "./page.mjs";

const SLOW = 1.5;

const start = (messageId) => ({ event: { type: "TEXT_MESSAGE_START", messageId } });
const content = (messageId, delta, more = {}) => ({ event: { type: "TEXT_MESSAGE_CONTENT", messageId, delta }, ...more });
const end = (messageId) => ({ event: { type: "TEXT_MESSAGE_END", messageId } });
const say = (id, ...deltas) => [start(id), ...deltas.map((delta) => content(id, delta)), end(id)];

const another = (page) => new Page(page.version, page.transport, page.url).open();

async function info(page) {
  assert.deepEqual(Object.keys(page.core.agents).sort(), ["default", "reporter/1"]);
  assert.ok(page.core.runtimeVersion);
}

async function text(page) {
  const agent = page.agent();
  await page.run(agent, say("a", "Hello, ", "wörld 🌍"));
  assert.equal(lastText(agent), "Hello, wörld 🌍");
}

async function tool(page) {
  const calls = [];
  const handler = async (args) => (calls.push(args), "painted");
  const other = await new Page(page.version, page.transport, page.url).open({ tools: [{ name: "paint", handler }] });
  const agent = other.agent();
  const call = { toolCallId: "call-1" };
  await other.run(agent, [
    { event: { type: "TOOL_CALL_START", toolCallName: "paint", ...call } },
    { event: { type: "TOOL_CALL_ARGS", delta: '{"color":', ...call } },
    { event: { type: "TOOL_CALL_ARGS", delta: '"teal"}', ...call } },
    { event: { type: "TOOL_CALL_END", ...call } },
  ]);
  await until(() => lastText(agent).includes("painted"), "the answer to the tool's result");
  assert.deepEqual(calls, [{ color: "teal" }]);
  assert.deepEqual(other.errors, []);
}

async function state(page) {
  const agent = page.agent("reporter/1");
  agent.state = { count: 1 };
  await page.run(agent, "report");
  assert.deepEqual(JSON.parse(lastText(agent)).state, { count: 1 });
  assert.deepEqual(agent.state, { count: 1, seen: true });
}

async function contexts(page) {
  page.core.addContext({ description: "the page", value: '"about"' });
  const agent = page.agent("reporter/1");
  await page.run(agent, "report");
  const given = JSON.parse(lastText(agent));
  assert.deepEqual(given.context, [{ description: "the page", value: '"about"' }]);
  assert.equal(given.properties.color, "blue");
}

async function headers(page) {
  const agent = page.agent("reporter/1");
  await page.run(agent, "report");
  const given = JSON.parse(lastText(agent)).headers;
  assert.equal(given.authorization, "Bearer page");
  assert.equal(given["x-page"], "yes");
  assert.ok(!("cookie" in given));
}

async function interrupt(page) {
  const agent = page.agent();
  await page.run(agent, [{ event: { type: "CUSTOM", name: "on_interrupt", value: { question: "sure?" } } }]);
  assert.deepEqual(page.custom.map(({ name, value }) => [name, value]), [["on_interrupt", { question: "sure?" }]]);
  await agent.runAgent({ forwardedProps: { command: { resume: false } } });
  assert.equal(lastText(agent), "answered false");
}

async function connectAfter(page) {
  const thread = newThread();
  await page.run(page.agent("default", thread), say("one", "first"));
  await page.run(page.agent("default", thread), say("two", "second"));
  const other = await another(page);
  const agent = other.agent("default", thread);
  await other.core.connectAgent({ agent });
  assert.deepEqual(agent.messages.map(({ role }) => role), ["user", "assistant", "user", "assistant"]);
  assert.equal(lastText(agent), "second");
  assert.deepEqual(other.errors, []);
}

async function connectWithin(page) {
  const agent = page.agent();
  const running = page.run(agent, [start("a"), content("a", "one "), content("a", "two", { after: SLOW }), end("a")]);
  await until(() => lastText(agent) === "one ", "the first word");
  const other = await another(page);
  const joined = other.agent("default", agent.threadId);
  const connected = other.core.connectAgent({ agent: joined });
  await until(() => lastText(joined) === "one ", "the first word there");
  await Promise.all([running, connected]);
  assert.deepEqual([lastText(agent), lastText(joined)], ["one two", "one two"]);
}

async function stop(page) {
  const agent = page.agent();
  const running = page.run(agent, [start("a"), content("a", "so far"), { hang: true }]);
  await until(() => lastText(agent) === "so far", "the first words");
  if (page.core.stopAgent) page.core.stopAgent({ agent });
  else agent.abortRun();
  await Promise.race([running, sleep(5000).then(() => assert.fail("the run goes on"))]);
  assert.equal(lastText(agent), "so far");
  const other = await another(page);
  const again = other.agent("default", agent.threadId);
  await other.core.connectAgent({ agent: again });
  assert.equal(lastText(again), "so far");
  assert.deepEqual([...page.errors, ...other.errors], []);
}

async function error(page) {
  const agent = page.agent();
  await page.run(agent, [start("a"), content("a", "Hel"), { raise: "secret" }]).catch(() => undefined);
  assert.ok(page.errors.length > 0, "the page was shown no error");
  assert.ok(!page.errors.join().includes("secret"));
}

export const deeds = {
  info,
  text,
  tool,
  state,
  context: contexts,
  headers,
  interrupt,
  "connect after": connectAfter,
  "connect within": connectWithin,
  stop,
  error,
};
