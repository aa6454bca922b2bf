import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { assertAllIsWell, assertStoppedWell, banners } from "./harness/browser.mjs";
import { assertGrew } from "./harness/chat.mjs";
import { eventually } from "./harness/eventually.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { startSite } from "./harness/site.mjs";
import { Visitor } from "./harness/visitor.mjs";
import { cancellation } from "./harness/witness.mjs";

const PICTURE = fileURLToPath(new URL("../../docs/demo.png", import.meta.url));
const TEAL = "rgb(0, 128, 128)";
/** Long enough for a page on a busy machine to show the answer grow. */
const WONDER = `${"I wonder whether this answer comes word by word or all at once. ".repeat(8)}That is all.`;
const STORY_MS = 15_000;
const TOLD_IN_A_SECOND = 200;

describe("a page built with the published React packages", { timeout: 600_000 }, () => {
  let demo;
  let agents;
  let visitor;

  before(async () => {
    demo = await startRuntime("examples/demo.py:runtime");
    agents = await startRuntime("tests/e2e/agents.py:runtime");
    visitor = await Visitor.start();
  });

  after(async () => {
    await visitor?.stop();
    await agents?.stop();
    await demo?.stop();
  });

  afterEach(() => visitor?.leave());

  function open(query) {
    return visitor.open({ runtimeUrl: demo.url, ...query });
  }

  test("shows an answer growing while the agent speaks", async () => {
    const { chat } = await open();
    const shown = await chat.watchAnswers();
    await chat.say(WONDER);
    await chat.hear("That is all.");

    const answer = await chat.answer();
    assertGrew(await shown(), answer);
    assert.match(answer, /^You said: I wonder/);
    await assertAllIsWell(visitor.visit);
  });

  test("lets the agent change its background, and tells the agent that it did", async () => {
    const { page, chat } = await open();
    await chat.say("Please change the background to teal");
    await chat.hear("Done: The background is now teal.");

    assert.equal(await page.locator("main").getAttribute("data-background"), "teal");
    await eventually(() => background(page).then((colour) => colour === TEAL), { what: "a teal page" });
    assert.equal(await page.getByTestId("action").getAttribute("data-status"), "complete");
    await assertAllIsWell(visitor.visit);
  });

  test("shows the agent's state, on the page and in the chat", async () => {
    const { page, chat } = await open();
    assert.equal(await page.getByTestId("plan").getByText("Nothing planned yet.").count(), 1);

    await chat.say("Hello there");
    await chat.hear("You said:");

    const steps = page.getByTestId("plan").locator("li");
    assert.ok((await steps.count()) >= 1);
    const done = await steps.evaluateAll((items) => items.filter((item) => item.dataset.done === "true").length);
    const progress = `${done} of ${await steps.count()} done`;
    assert.equal(await page.locator(".copilotKitMessages").getByTestId("progress").innerText(), progress);
    await assertAllIsWell(visitor.visit);
  });

  test("sends back the extensions that the agent sent", async () => {
    const { chat } = await open({ runtimeUrl: agents.url, agent: "keeper" });
    for (const turn of ["This is turn 1.", "This is turn 2.", "This is turn 3."]) {
      await chat.say("Which turn is this?");
      await chat.hear(turn);
    }
    await assertAllIsWell(visitor.visit);
  });

  test("stops the agent within a second when the stop button is pressed", async () => {
    const { page, chat } = await open({ runtimeUrl: agents.url, agent: "endless" });
    const asked = page.waitForRequest((request) => request.postData()?.includes("Go on."));
    await chat.say("Go on.");
    await chat.begun();

    const pressed = await chat.stop();
    const { threadId } = (await asked).postDataJSON().variables.data;
    const ranOn = (await cancellation(agents.url, threadId)) - pressed;
    assert.ok(ranOn < 1_000, `the agent ran on for ${ranOn} ms`);
    await assertStoppedWell(visitor.visit);
  });

  test("keeps what was said when the stop button is pressed, and takes the next turn", async () => {
    const { chat } = await open();
    const asked = Date.now();
    await chat.say("Tell me a long story");
    await chat.begun(40);

    await chat.stop();
    const story = await chat.answer();

    await chat.say("Hello again");
    await chat.hear("Hello again");
    assert.ok(Date.now() - asked < STORY_MS, "the next turn had to wait for the story's end");
    const kept = (await chat.turns()).find(({ text }) => text.startsWith(story));
    assert.ok(kept, "what was told of the story was lost");
    assert.ok(kept.text.length - story.length < TOLD_IN_A_SECOND, `the story went on: ${kept.text}`);
    await assertStoppedWell(visitor.visit);
  });

  test("keeps a conversation over several turns", async () => {
    const { chat } = await open();
    for (const words of ["First words", "Second words"]) {
      await chat.say(words);
      await chat.hear(words);
    }
    await chat.say("change the background to teal");
    await chat.hear("Done: The background is now teal.");

    assert.deepEqual((await chat.turns()).slice(1), [
      { role: "user", text: "First words" },
      { role: "assistant", text: "You said: First words" },
      { role: "user", text: "Second words" },
      { role: "assistant", text: "You said: Second words" },
      { role: "user", text: "change the background to teal" },
      { role: "assistant", text: "Done: The background is now teal." },
    ]);
    await assertAllIsWell(visitor.visit);
  });

  test("is answered by the runtime's model when it names no agent", async () => {
    const { chat } = await open({ agent: "" });
    await chat.say("Hello model");
    await chat.hear("Hello model");
    await assertAllIsWell(visitor.visit);
  });

  test("shows a banner, and goes on, when its agent does not exist", async () => {
    const { page, chat } = await open({ agent: "nobody" });
    await eventually(async () => /agent.* was not found/i.test(await banners(page)), { what: "the banner" });
    await chat.ready.waitFor();
  });

  test("works the same when a proxy serves page and runtime from one origin", async () => {
    const proxy = await startSite({ runtimeUrl: demo.url });
    try {
      const { chat } = await visitor.go(proxy.url, [proxy.url]);
      const shown = await chat.watchAnswers();
      await chat.say("change the background to teal");
      await chat.hear("Done: The background is now teal.");
      await chat.say(WONDER);
      await chat.hear("That is all.");

      assertGrew(await shown(), await chat.answer());
      await assertAllIsWell(visitor.visit);
    } finally {
      await visitor.leave();
      await proxy.stop();
    }
  });

  test("poses for the README's picture", { skip: process.env.SCREENSHOT !== "1" }, async () => {
    const { page, chat } = await open();
    await chat.say("Hello! Who am I talking to?");
    await chat.hear("You said:");
    await chat.say("Change the background to lightblue");
    await chat.hear("Done:");
    await eventually(() => page.evaluate(() => document.getAnimations().length === 0), { what: "the paint to dry" });
    await page.screenshot({ path: PICTURE });
    await assertAllIsWell(visitor.visit);
  });
});

function background(page) {
  return page.locator("main").evaluate((main) => getComputedStyle(main).backgroundColor);
}
