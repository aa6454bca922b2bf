import { after, afterEach, before, describe } from "node:test";

import { ReactClient } from "./harness/react_client.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { testAttachments, testConversations, testJoining, testTask, testThreads } from "./conversations.mjs";

describe("a page built with the newest React packages", { timeout: 600_000 }, () => {
  let runtime;
  let client;

  before(async () => {
    runtime = await startRuntime("tests/e2e/agents.py:runtime", { COPILOTKIT_STORE: "memory://" });
    client = await ReactClient.start("1.74.0");
  });

  after(async () => {
    await client?.stop();
    await runtime?.stop();
  });

  afterEach(() => client?.leave());

  for (const api of ["v1", "v2"]) {
    for (const transport of ["default", "single"]) {
      const open = (settings) => client.open({ runtimeUrl: runtime.url, api, transport, ...settings });
      describe(`${api} API, ${transport} transport`, () => {
        testConversations(open, { enveloped: transport === "single" });
        testJoining(open);
        testAttachments(open);
        if (api === "v1") testTask(open);
        else testThreads(open);
      });
    }
  }
});
