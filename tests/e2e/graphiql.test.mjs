import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { openBrowser } from "./harness/browser.mjs";
import { startRuntime } from "./harness/runtime.mjs";

describe("GraphiQL, which the runtime shows on its URL in development", { timeout: 600_000 }, () => {
  let demo;
  let browser;

  before(async () => {
    demo = await startRuntime("examples/demo.py:runtime", { COPILOTKIT_STORE: "memory://" });
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await demo?.stop();
  });

  async function open() {
    const page = await browser.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(`uncaught: ${error}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== new URL(demo.url).origin) problems.push(`foreign: ${request.url()}`);
    });
    await page.goto(demo.url);
    await page.locator(".graphiql-container").waitFor();
    return { page, problems };
  }

  for (const [operation, answer] of [
    ["agents", /"name": "planner"/],
    ["chat", /Read the request: Hello there/],
  ]) {
    test(`runs its example ${operation}, from local files under its policy`, async () => {
      const { page, problems } = await open();
      await page.getByRole("button", { name: /Execute query/ }).click();
      await page.getByRole("menuitem", { name: operation }).click();
      await page.waitForFunction(
        (source) => new RegExp(source).test(document.querySelector(".result-window")?.innerText ?? ""),
        answer.source,
      );
      assert.deepEqual(problems, []);
    });
  }

  test("shows the documentation of the schema", async () => {
    const { page, problems } = await open();
    await page.getByRole("button", { name: /Documentation Explorer/ }).click();
    await page.getByText("A GraphQL schema provides a root type", { exact: false }).waitFor();
    await page.getByRole("link", { name: "Mutation" }).click();
    await page.getByRole("link", { name: "generateCopilotResponse", exact: true }).waitFor();
    assert.deepEqual(problems, []);
  });
});
