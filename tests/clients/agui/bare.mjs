// Runs the agents of a server with AG-UI's own client, without CopilotKit: node bare.mjs URL. Exits with 1 on a failure.
import assert from "node:assert/strict";

const VERSIONS = ["0-0-42", "0-0-59", "1-0-0"];

const quiet = () => undefined;
Object.assign(console, { debug: quiet, info: quiet, warn: quiet });

const say = (...deltas) => [
  { event: { type: "TEXT_MESSAGE_START", messageId: "a" } },
  ...deltas.map((delta) => ({ event: { type: "TEXT_MESSAGE_CONTENT", messageId: "a", delta } })),
  { event: { type: "TEXT_MESSAGE_END", messageId: "a" } },
  { event: { type: "STATE_SNAPSHOT", snapshot: { count: 1 } } },
];

async function drive(version, url) {
  const { HttpAgent } = await import(`agui-client-${version}`);
  const agent = new HttpAgent({ url: `${url}/agent/default/run`, threadId: `bare-${version}-${process.pid}` });
  agent.addMessage({ id: "u", role: "user", content: JSON.stringify(say("Hello, ", "wörld 🌍")) });
  await agent.runAgent();
  assert.deepEqual(agent.messages.map(({ role }) => role), ["user", "assistant"]);
  assert.equal(agent.messages[1].content, "Hello, wörld 🌍");
  assert.deepEqual(agent.state, { count: 1 });
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
