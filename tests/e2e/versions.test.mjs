import { after, afterEach, before, describe } from "node:test";

import { ReactClient } from "./harness/react_client.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { testAttachments, testConversations, testJoining, testTask } from "./conversations.mjs";

// How each of them can be told to speak: by itself with the single endpoint, which is the only way until 1.53.
const VERSIONS = {
  "1.50.0": ["default"],
  "1.54.1": ["default", "rest"],
  "1.60.2": ["default", "rest"],
  "1.66.4": ["default", "rest"],
};

// Its chat connects ten times and lets go of none: the last of them waits for one of the browser's six connections.
const WITHOUT_JOINING = new Set(["1.50.0"]);
const WITHOUT_ATTACHMENTS = new Set(["1.50.0", "1.54.1"]); // their chats show the picture, and do not send it

for (const [version, transports] of Object.entries(VERSIONS)) {
  describe(`a page built with the React packages ${version}`, { timeout: 300_000 }, () => {
    let runtime;
    let client;

    before(async () => {
      runtime = await startRuntime("tests/e2e/agents.py:runtime", { COPILOTKIT_STORE: "memory://" });
      client = await ReactClient.start(version);
    });

    after(async () => {
      await client?.stop();
      await runtime?.stop();
    });

    afterEach(() => client?.leave());

    for (const transport of transports) {
      const open = (settings) => client.open({ runtimeUrl: runtime.url, api: "v1", transport, ...settings });
      describe(`v1 API, ${transport} transport`, () => {
        testConversations(open, { enveloped: transport === "default" });
        if (!WITHOUT_JOINING.has(version)) testJoining(open);
        if (!WITHOUT_ATTACHMENTS.has(version)) testAttachments(open);
        testTask(open);
      });
    }
  });
}
