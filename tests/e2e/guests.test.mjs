import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, describe, test } from "node:test";

import { assertAllIsWell, assertStoppedWell } from "./harness/browser.mjs";
import { eventually } from "./harness/eventually.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { Visitor } from "./harness/visitor.mjs";
import { cancellation, letGoOn } from "./harness/witness.mjs";

const ANSWER = "Every word of this was said by a guest, one after the other.";
/** What there is of it until the guest's model is let go on. */
const BEGINNING = "Every word of this";
const GUESTS = {
  crew: "a CrewAI crew",
  flow: "a CrewAI flow",
  "agui-http": "an AG-UI agent over HTTP",
  "agui-in-process": "an AG-UI agent in process",
  "remote-endpoint": "a CopilotKit remote endpoint",
};

describe("a page whose agent is a guest", { timeout: 600_000 }, () => {
  let runtime;
  let visitor;

  before(async () => {
    runtime = await startRuntime("tests.e2e.guests:runtime");
    visitor = await Visitor.start();
  });

  after(async () => {
    await visitor?.stop();
    await runtime?.stop();
  });

  afterEach(() => visitor?.leave());

  function open(agent) {
    return visitor.open({ runtimeUrl: runtime.url, agent });
  }

  for (const [agent, guest] of Object.entries(GUESTS)) {
    test(`shows an answer growing while ${guest} speaks`, async () => {
      const { chat } = await open(agent);
      const id = randomUUID();
      await chat.say(`Who are you? Halt: ${id}`);
      await chat.shows(BEGINNING);
      assert.equal(await chat.answer(), BEGINNING);

      await letGoOn(runtime.url, id);
      await chat.hear(ANSWER);
      assert.equal(await chat.answer(), ANSWER);
      await assertAllIsWell(visitor.visit);
    });

    test(`lets ${guest} change its background, and tells it that it did`, async () => {
      const { page, chat } = await open(agent);
      await chat.say("Please change the background to teal");
      await chat.hear("Done: The background is now teal.");

      assert.equal(await page.locator("main").getAttribute("data-background"), "teal");
      // CrewAI tells its models `change_background`, and the provider shows the page that name: it has no such action.
      assert.equal(await page.getByTestId("action").count(), 1);
      assert.equal(await page.getByTestId("action").getAttribute("data-status"), "complete");
      await assertAllIsWell(visitor.visit);
    });

    test(`shows the state of ${guest}, on the page and in the chat`, async () => {
      const { page, chat } = await open(agent);
      assert.equal(await page.getByTestId("plan").getByText("Nothing planned yet.").count(), 1);
      await chat.say("Who are you?");
      await chat.hear(ANSWER);

      const steps = page.getByTestId("plan").locator("li");
      assert.deepEqual(await steps.allInnerTexts(), ["Hear the question", "Answer it"]);
      const progress = page.locator(".copilotKitMessages").getByTestId("progress");
      await eventually(async () => (await progress.allInnerTexts()).join() === "2 of 2 done", { what: "all done" });
      await assertAllIsWell(visitor.visit);
    });

    test(`stops ${guest} when the stop button is pressed, and takes the next turn`, async () => {
      const { chat } = await open(agent);
      const id = randomUUID();
      await chat.say(`Go on: ${id}`);
      await chat.begun();

      const pressed = await chat.stop();
      const ranOn = (await cancellation(runtime.url, id)) - pressed;
      // A second is what is promised; the machine that shows Chromium at the same time may be slower.
      assert.ok(ranOn < 5_000, `the guest's model went on for ${ranOn} ms`);

      await chat.say("Who are you?");
      await chat.hear(ANSWER);
      await assertStoppedWell(visitor.visit);
    });
  }
});
