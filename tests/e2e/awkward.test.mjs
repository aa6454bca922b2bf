import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { assertAllIsWell } from "./harness/browser.mjs";
import { requestsOf } from "./harness/requests.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { Visitor } from "./harness/visitor.mjs";

describe("a page whose agents do what no manual has", { timeout: 120_000 }, () => {
  let runtime;
  let visitor;

  before(async () => {
    runtime = await startRuntime("tests.e2e.awkward_agents:runtime");
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

  test("paints at each turn, though the tool calls of all turns have one id", async () => {
    const { page, chat } = await open({ agent: "repeater" });
    for (const colour of ["teal", "gold", "plum"]) {
      await chat.say(`Please make it ${colour}`);
      await chat.hear(`Done: The background is now ${colour}.`);
      assert.equal(await page.locator("main").getAttribute("data-background"), colour);
    }
    assert.equal(await page.getByTestId("action").count(), 3);
    await assertAllIsWell(visitor.visit);
  });

  test("answers a question that an agent asks in a message with a message", async () => {
    const { chat } = await open({ agent: "interviewer" });
    await chat.say("Write a letter");
    await chat.hear("Which company?");
    await chat.say("ACME");
    await chat.hear("You work for ACME.");

    await chat.say("Write another one");
    await chat.hear("Which company?");
    await chat.say("Globex");
    await chat.hear("You work for Globex.");
    await assertAllIsWell(visitor.visit);
  });

  test("talks to an agent of ag_ui_langgraph for more than one turn", async () => {
    const { chat } = await open({ agent: "adapter" });
    for (const text of ["one", "two", "three"]) {
      await chat.say(text);
      await chat.hear(`You said: ${text}`);
    }
    assert.deepEqual(texts(await chat.turns()), ["one", "You said: one", "two", "You said: two", "three", "You said: three"]);
    await assertAllIsWell(visitor.visit);
  });

  test("goes on after one of two parallel tools has failed", async () => {
    const { chat } = await open({ agent: "strict" });
    await chat.say("fail");
    await chat.ready.waitFor();
    await chat.say("and now");
    await chat.hear("All is well, and now.");
    await chat.say("once more");
    await chat.hear("All is well, once more.");
  });

  test("answers the question of one of two parallel tools, and goes on", async () => {
    const { page, chat } = await open({ agent: "strict", questions: 1 });
    await chat.say("confirm");
    const question = page.getByTestId("question");
    await question.getByText("Really cats?").waitFor();
    await question.getByRole("button", { name: "yes" }).click();
    await chat.hear("All is well, yes.");
    await chat.say("and now");
    await chat.hear("All is well, and now.");
    await assertAllIsWell(visitor.visit);
  });

  test("shows an answer once whose message changes its id while it is written, and sends it back once", async () => {
    const { page, chat } = await open({ agent: "renamer" });
    const asked = requestsOf(page);
    for (const text of ["one", "two"]) {
      await chat.say(text);
      await chat.hear(`You said: ${text}`);
    }
    assert.deepEqual(texts(await chat.turns()), ["one", "You said: one", "two", "You said: two"]);
    const sent = asked.at(-1).messages.map(({ textMessage }) => textMessage?.content);
    assert.equal(sent.filter((text) => text === "You said: one").length, 1, `sent: ${JSON.stringify(sent)}`);
    await assertAllIsWell(visitor.visit);
  });
});

/** What was said in some turns, without the page's greeting. */
function texts(turns) {
  return turns.slice(1).map(({ text }) => text);
}
