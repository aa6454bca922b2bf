// Has pages stay connected to a thread while another page starts runs in it: node later_runs.mjs URL, of a server with
// connect_stays_open. Exits with 1 if a page of any version misses one, or can no longer talk itself.
import assert from "node:assert/strict";

import { Page, lastText, newThread, until } from "./page.mjs";

const VERSIONS = ["1.50.0", "1.54.1", "1.60.2", "1.66.4", "1.69.3", "1.75.0"];
const TRANSPORTS = ["rest", "single"];

const quiet = () => undefined;
Object.assign(console, { debug: quiet, info: quiet, warn: quiet, error: quiet });

const say = (text) => {
  const messageId = `says-${newThread()}`;
  return ["START", "CONTENT", "END"].map((part) => ({ event: { type: `TEXT_MESSAGE_${part}`, messageId, delta: text } }));
};

const texts = (agent) => agent.messages.filter(({ role }) => role === "assistant").map(({ content }) => content);

async function drive(version, transport, url) {
  const [writer, reader] = await Promise.all([1, 2].map(() => new Page(version, transport, url).open()));
  const thread = newThread();
  const writes = writer.agent("default", thread);
  const reads = reader.agent("default", thread);
  await writer.run(writes, say("one"));
  reader.core.connectAgent({ agent: reads }).catch(quiet);
  await until(() => lastText(reads) === "one", "the past");
  await writer.run(writes, [{ raise: "no" }]).catch(quiet);
  for (const text of ["two", "three"]) {
    await writer.run(writes, say(text));
    await until(() => lastText(reads) === text, `'${text}' in the other page`);
  }
  assert.deepEqual(texts(reads), ["one", "two", "three"]);
  await reader.run(reads, say("mine"));
  assert.deepEqual(texts(reads), ["one", "two", "three", "mine"]);
  assert.deepEqual(reader.errors, []);
}

const [url] = process.argv.slice(2);
let failed = 0;
for (const version of VERSIONS) {
  for (const transport of TRANSPORTS) {
    try {
      await drive(version, transport, url);
      console.log(`later runs, core ${version}, ${transport}: ok`);
    } catch (error) {
      failed += 1;
      console.log(`later runs, core ${version}, ${transport}: failed: ${error.message.split("\n")[0]}`);
    }
  }
}
process.exit(failed ? 1 : 0);
