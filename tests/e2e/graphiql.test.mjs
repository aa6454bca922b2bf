import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { startRuntime } from "./harness/runtime.mjs";
import { serving } from "./harness/served.mjs";

const KEY = "a-key-that-is-long-enough-0123456789";

describe("GraphiQL, which the runtime shows on its URL in development", { timeout: 600_000 }, () => {
  const demo = serving("examples/demo.py:runtime");

  async function open(url = demo.url) {
    const page = await demo.browser.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(`uncaught: ${error}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== new URL(url).origin) problems.push(`foreign: ${request.url()}`);
    });
    await page.goto(url);
    await page.locator(".graphiql-container").waitFor();
    return { page, problems };
  }

  async function run(page, operation, answer) {
    // It has a menu once GraphiQL has read the examples.
    await page.getByRole("button", { name: /Execute query/ }).and(page.locator("[aria-haspopup=menu]")).click();
    await page.getByRole("menuitem", { name: operation }).click();
    await answered(page, answer);
  }

  function answered(page, answer) {
    return page.waitForFunction(
      (source) => new RegExp(source).test(document.querySelector(".result-window")?.innerText ?? ""),
      answer.source,
    );
  }

  for (const [operation, answer] of [
    ["agents", /"name": "planner"/],
    ["chat", /Read the request: Hello there/],
    ["state", /"threadExists": true/],
  ]) {
    test(`runs its example ${operation}, from local files under its policy`, async () => {
      const { page, problems } = await open();
      await run(page, operation, answer);
      assert.deepEqual(problems, []);
    });
  }

  test("has examples with an agent that the runtime has", async () => {
    const odd = await startRuntime("tests/e2e/odd_agents.py:runtime", { COPILOTKIT_STORE: "memory://" });
    try {
      const { page, problems } = await open(odd.url);
      await run(page, "chat", /"You said: "/);
      await run(page, "state", /"threadExists": true/);
      assert.deepEqual(problems, []);
    } finally {
      await odd.stop();
    }
  });

  test("has an example with the model where there are no agents", async () => {
    const plain = await startRuntime("tests/e2e/models.py:local", { COPILOTKIT_STORE: "memory://" });
    try {
      const { page, problems } = await open(plain.url);
      await run(page, "chat", /"content": \[/);
      assert.doesNotMatch(await page.locator(".query-editor, .graphiql-query-editor").first().innerText(), /query state/);
      assert.deepEqual(problems, []);
    } finally {
      await plain.stop();
    }
  });

  test("takes credentials where they are needed, written in it or given to the chat page", async () => {
    const locked = await startRuntime("examples/demo.py:runtime", { COPILOTKIT_STORE: "memory://", COPILOTKIT_API_KEYS: `me:${KEY}` });
    try {
      const { page } = await open(locked.url);
      await answered(page, /Valid credentials are needed/);
      await page.getByRole("button", { name: "Headers" }).click();
      await page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden) .CodeMirror").click();
      await page.keyboard.insertText(JSON.stringify({ Authorization: `Bearer ${KEY}` }));
      await run(page, "agents", /"name": "planner"/);
      await page.goto(new URL("/", locked.url).href);
      await page.getByLabel("API key or token").fill(KEY);
      await page.keyboard.press("Enter");
      await page.locator('#log[data-busy="false"]').waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.id), "text");
      await page.evaluate(() => localStorage.clear());
      await page.goto(locked.url);
      await run(page, "chat", /Read the request: Hello there/);
    } finally {
      await locked.stop();
    }
  });

  test("shows the documentation of the schema", async () => {
    const { page, problems } = await open();
    await page.getByRole("button", { name: /Documentation Explorer/ }).click();
    await page.getByText("A GraphQL schema provides a root type", { exact: false }).waitFor();
    await page.getByRole("link", { name: "Mutation" }).click();
    await page.getByRole("link", { name: "generateCopilotResponse", exact: true }).waitFor();
    assert.deepEqual(problems, []);
  });
});
