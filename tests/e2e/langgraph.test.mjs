import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { assertAllIsWell } from "./harness/browser.mjs";
import { eventually } from "./harness/eventually.mjs";
import { requestsOf } from "./harness/requests.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { Visitor } from "./harness/visitor.mjs";

describe("a page whose agents are graphs", { timeout: 120_000 }, () => {
  let runtime;
  let visitor;

  before(async () => {
    runtime = await startRuntime("tests.e2e.langgraph_agents:runtime");
    visitor = await Visitor.start();
  });

  after(async () => {
    await visitor?.stop();
    await runtime?.stop();
  });

  afterEach(() => visitor?.leave());

  function open(query) {
    return visitor.open({ runtimeUrl: runtime.url, ...query });
  }

  test("shows an agent's state while a node is still at work, step by step", async () => {
    const { page, chat } = await open({ agent: "researcher" });
    const shown = await watchProgress(page);
    await chat.say("Find something out");
    await chat.hear("Write: this takes a moment.");

    await eventually(async () => (await shown()).at(-1) === "3 of 3 done", { what: "all to be done" });
    const steps = await shown();
    assert.ok(steps.length >= 3, `seen: ${steps}`);
    assert.deepEqual(steps, [...steps].sort());
    assert.deepEqual(await page.getByTestId("plan").locator("li").allInnerTexts(), ["Search", "Read", "Write"]);
    await assertAllIsWell(visitor.visit);
  });

  test("puts an agent's questions to the person, one after the other, and the agent goes on with the answers", async () => {
    const { page, chat } = await open({ agent: "asker", questions: 1 });
    await chat.say("Ask me");
    const question = page.getByTestId("question");
    await question.getByText("Which colour?").waitFor();
    await question.getByRole("button", { name: "green" }).click();

    await question.getByText("How big, in green?").waitFor();
    await question.getByRole("button", { name: "large" }).click();

    await chat.hear("You chose large and green.");
    await eventually(async () => (await question.count()) === 0, { what: "the question to go" });
    assert.equal(await chat.answer(), "You chose large and green.");
    await assertAllIsWell(visitor.visit);
  });

  test("is handed over from agent to agent within one thread: each keeps it until it lets go", async () => {
    const { page, chat } = await open({ agent: "", team: "booker,packer" });
    const asked = requestsOf(page);
    await chat.say("I want to travel");
    await chat.hear("Where do you want to go?");
    await speaker(page, "booker");

    await chat.say("Lisbon");
    await chat.hear("Booked a room in Lisbon.");
    await speaker(page, "");

    await chat.say("Please pack my bag");
    await chat.hear("Packed a map of Lisbon.");
    await speaker(page, "");

    assert.deepEqual(asked.map(({ agentSession }) => agentSession?.agentName), [undefined, "booker", undefined]);
    assert.equal(new Set(asked.map(({ threadId }) => threadId)).size, 1);
    assert.equal(await page.getByTestId("booker").getByTestId("known").innerText(), "a room in Lisbon");
    assert.equal(await page.getByTestId("packer").getByTestId("known").innerText(), "a map of Lisbon");
    assert.deepEqual(
      (await chat.turns()).slice(1).map(({ text }) => text),
      [
        "I want to travel",
        "Where do you want to go?",
        "Lisbon",
        "Booked a room in Lisbon.",
        "Please pack my bag",
        "Packed a map of Lisbon.",
      ],
    );
    await assertAllIsWell(visitor.visit);
  });

  test("hands the conversation over to an agent itself, which then needs no router, and gets it back", async () => {
    const { page, chat } = await open({ agent: "", team: "booker,packer" });
    const asked = requestsOf(page);
    await page.getByRole("button", { name: "Talk to booker" }).click();
    await speaker(page, "booker");
    await chat.say("Hello");
    await chat.hear("Where do you want to go?");
    await chat.say("Porto");
    await chat.hear("Booked a room in Porto.");
    await speaker(page, "");

    await page.getByRole("button", { name: "Talk to packer" }).click();
    await speaker(page, "packer");
    await chat.say("What else do I need?");
    await chat.hear("Packed a map of Porto.");
    await speaker(page, "");

    assert.deepEqual(asked.map(({ agentSession }) => agentSession?.agentName), ["booker", "booker", "packer"]);
    assert.equal(new Set(asked.map(({ threadId }) => threadId)).size, 1);
    assert.equal(await page.getByTestId("packer").getByTestId("known").innerText(), "a map of Porto");
    await assertAllIsWell(visitor.visit);
  });
});

/** Waits until the agent `name` has the conversation of a page with a team; with an empty name, until nobody has. */
function speaker(page, name) {
  return eventually(async () => (await page.getByTestId("team").getAttribute("data-speaker")) === name, {
    what: `"${name}" to have the conversation`,
  });
}

/** Notes from now on each progress that the page's plan shows; returns a function that reads the notes, in order. */
async function watchProgress(page) {
  await page.evaluate(() => {
    const seen = (window.seenProgress = []);
    const look = () => {
      const text = document.querySelector('[data-testid="plan"] [data-testid="progress"]')?.innerText;
      if (text && text !== seen.at(-1)) seen.push(text);
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  return () => page.evaluate(() => window.seenProgress);
}
