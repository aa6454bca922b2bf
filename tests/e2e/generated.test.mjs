import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { ReactClient } from "./harness/react_client.mjs";
import { startRuntime } from "./harness/runtime.mjs";

describe("interfaces that agents generate, in a page built with the newest React packages", { timeout: 600_000 }, () => {
  let runtime;
  let client;

  before(async () => {
    runtime = await startRuntime("tests.e2e.generating_agents:runtime", { COPILOTKIT_STORE: "memory://" });
    client = await ReactClient.start("1.74.0");
  });

  after(async () => {
    await client?.stop();
    await runtime?.stop();
  });

  afterEach(() => client?.leave());

  for (const transport of ["default", "single"]) {
    const open = (agent) => client.open({ runtimeUrl: runtime.url, api: "v2", transport, agent });

    describe(`${transport} transport`, () => {
      test("draws a surface, and tells the agent what the person does on it", async () => {
        const tab = await open("drawer");
        await tab.say("Where can I go?");
        await tab.main.getByText("Where to go").waitFor();
        await tab.rest();
        await tab.main.getByRole("button", { name: "Choose Bonn" }).click();
        await tab.hear('Seen: The user did "choose" on the surface "cities"');
        tab.assertNoProblems();
      });

      test("draws a surface again after a reload", async () => {
        const tab = await open("drawer");
        await tab.say("Where can I go?");
        await tab.main.getByText("Where to go").waitFor();
        await tab.rest();
        await tab.reload();
        await tab.main.getByText("Where to go").waitFor();
        tab.assertNoProblems();
      });

      test("draws a page in its sandbox, and runs its scripts there", async () => {
        const tab = await open("writer");
        await tab.say("Paint me a picture.");
        await tab.page.frameLocator("main iframe").last().getByText("A picture that moves").waitFor();
        await tab.hear("There it is.");
        assert.equal(await tab.page.locator("#picture").count(), 0);
        tab.assertNoProblems();
      });

      test("draws an app of an MCP server, whose page calls the server's tools", async () => {
        const tab = await open("");
        await tab.say("What time is it?");
        const app = tab.page.frameLocator('[data-testid="mcp-app-iframe"]').frameLocator("iframe");
        await app.getByText("Ticked by 2.").waitFor();
        tab.assertNoProblems();
      });
    });
  }
});
