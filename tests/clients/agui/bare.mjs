// Runs the agents of a server with AG-UI's own client, without CopilotKit: node bare.mjs URL. Exits with 1 on a failure.
import assert from "node:assert/strict";

const VERSIONS = ["0-0-35", "0-0-42", "0-0-52", "0-0-59", "1-0-0"];

const quiet = () => undefined;
Object.assign(console, { debug: quiet, info: quiet, warn: quiet });

const event = (type, fields) => ({ event: { type, ...fields } });
const call = { toolCallId: "c" };

const SCRIPT = [
  event("STEP_STARTED", { stepName: "node" }),
  event("TEXT_MESSAGE_START", { messageId: "a" }),
  ...["Hello, ", "wörld 🌍\r\n\u2028"].map((delta) => event("TEXT_MESSAGE_CONTENT", { messageId: "a", delta })),
  event("TEXT_MESSAGE_END", { messageId: "a" }),
  event("TOOL_CALL_START", { toolCallName: "paint", parentMessageId: "a", ...call }),
  event("TOOL_CALL_ARGS", { delta: '{"color":"teal"}', ...call }),
  event("TOOL_CALL_END", call),
  event("TOOL_CALL_RESULT", { content: "painted", ...call }),
  event("STATE_SNAPSHOT", { snapshot: { count: 1 } }),
  event("CUSTOM", { name: "on_interrupt", value: { question: "sure?" } }),
];

const roles = (agent) => agent.messages.map(({ role }) => role);

async function say(agent, id, content) {
  agent.addMessage({ id, role: "user", content: JSON.stringify(content) });
  await agent.runAgent();
}

async function drive(version, url) {
  const { HttpAgent } = await import(`agui-client-${version}`);
  const agent = new HttpAgent({ url: `${url}/agent/default/run`, threadId: `bare-${version}-${process.pid}` });
  await say(agent, "u", SCRIPT);
  assert.deepEqual(roles(agent), ["user", "assistant", "tool"]);
  const [, { content, toolCalls }, result] = agent.messages;
  assert.equal(content, "Hello, wörld 🌍\r\n\u2028");
  assert.deepEqual(toolCalls.map((made) => made.function), [{ name: "paint", arguments: '{"color":"teal"}' }]);
  assert.equal(result.content, "painted");
  assert.deepEqual(agent.state, { count: 1 });
  const again = ["START", "CONTENT", "END"].map((part) => event(`TEXT_MESSAGE_${part}`, { messageId: "b", delta: "again" }));
  await say(agent, "v", again);
  assert.equal(agent.messages.at(-1).content, "again");
}

const [url] = process.argv.slice(2);
let failed = 0;
for (const version of VERSIONS) {
  try {
    await drive(version, url);
    console.log(`@ag-ui/client ${version.replaceAll("-", ".")}: ok`);
  } catch (error) {
    failed += 1;
    console.log(`@ag-ui/client ${version.replaceAll("-", ".")}: failed: ${error.message}`);
  }
}
process.exit(failed ? 1 : 0);
