import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, afterEach, before, describe, test } from "node:test";

import { assertAllIsWell, assertStoppedWell, banners } from "./harness/browser.mjs";
import { assertGrew } from "./harness/chat.mjs";
import { eventually } from "./harness/eventually.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { Vendor } from "./harness/vendor.mjs";
import { Visitor } from "./harness/visitor.mjs";
import { KEY, keyOf, WIRES } from "./harness/wires.mjs";

const ANSWER = "Every word of this was said by a model, one after the other.";
/** Long enough for a page on a busy machine to show it grow. */
const SPEECH = Array(12).fill(ANSWER).join(" ");
const STORY = "and then the fox jumped over the dog, ".repeat(60);
const SNOW = "It is snowing in Oslo.";
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const LIMITS = { temperature: 0, maxTokens: 64, stop: ["END"] };
const SUGGESTIONS = [
  { title: "Snow?", message: "Is there snow in Oslo?" },
  { title: "Paint", message: "Paint the page." },
];
const AVAILABLE = ["remote", "disabled", "frontend"];
const WRONG_KEY = `Incorrect API key provided: ${KEY}.`;
const REFUSALS = [
  { status: 401, message: WRONG_KEY },
  { status: 429, message: "Rate limit reached." },
  { status: 500, message: "The server had an error." },
];
const REFUSED = { error: { message: WRONG_KEY, type: "some_error" }, status: 401 };

for (const [name, wire] of Object.entries(WIRES)) {
  describe(`a page without an agent, whose runtime's model is ${wire.name}'s`, { timeout: 600_000 }, () => {
    let vendor;
    let runtime;
    let visitor;

    before(async () => {
      vendor = await Vendor.start();
      runtime = await startRuntime(`tests/e2e/models.py:${name}`, wire.variables(vendor.url));
      visitor = await Visitor.start();
    });

    after(async () => {
      await visitor?.stop();
      await runtime?.stop();
      await vendor?.stop();
    });

    afterEach(() => visitor?.leave());

    function open(query) {
      return visitor.open({ runtimeUrl: runtime.url, agent: "", ...query });
    }

    test("shows an answer growing while the model speaks", async () => {
      vendor.answers(() => ({ content: SPEECH }));
      const { chat } = await open();
      const shown = await chat.watchAnswers();
      await chat.say("Who are you?");
      await chat.hear(SPEECH);

      assertGrew(await shown(), SPEECH);
      assert.equal(await chat.answer(), SPEECH);
      const [request, ...more] = vendor.requests;
      assert.deepEqual([request.path, keyOf(request.headers), more], [wire.path, KEY, []]);
      await assertAllIsWell(visitor.visit);
    });

    test("tells the model what was said before", async () => {
      vendor.answers(({ messages }) => ({ content: `You said ${messages.at(-1).content}.` }));
      const { chat } = await open();
      for (const words of ["one", "two"]) {
        await chat.say(words);
        await chat.hear(`You said ${words}.`);
      }

      assert.deepEqual(wire.said(vendor.requests.at(-1).body), [
        { role: "user", text: "one" },
        { role: "assistant", text: "You said one." },
        { role: "user", text: "two" },
      ]);
      await assertAllIsWell(visitor.visit);
    });

    test("shows what the model suggests to say, and says it", async () => {
      vendor.answers(({ tools }) =>
        offers(tools, "extract") ? calling(["extract", { suggestions: SUGGESTIONS }]) : { content: ANSWER },
      );
      const { page, chat } = await open({ suggestions: 1 });
      await page.locator('[data-test-id="suggestion"]', { hasText: "Paint" }).waitFor();
      await page.locator('[data-test-id="suggestion"]', { hasText: "Snow?" }).click();
      await chat.hear(ANSWER);

      assert.equal((await chat.turns()).at(-2).text, SUGGESTIONS[0].message);
      assert.equal(wire.choice(vendor.requests[0].body), "extract");
      await assertAllIsWell(visitor.visit);
    });

    test("completes what is written in a textarea", async () => {
      vendor.answers(() => ({ content: " and the winter is long." }));
      const { page } = await open({ desk: 1 });
      await write(page, "The days are short");
      await page.getByTestId("suggestion").getByText("and the winter is long.").waitFor();
      await page.keyboard.press("Tab");

      await eventually(() => letter(page).then((text) => text === "The days are short and the winter is long."), {
        what: "the completion to be taken",
      });
      const asked = vendor.requests.at(-1);
      assert.equal(wire.limits(asked.body).temperature, 0);
      assert.match(wire.said(asked.body).at(-1).text, /The days are short/);
      await assertAllIsWell(visitor.visit);
    });

    test("has what was selected in a textarea put differently", async () => {
      vendor.answers(({ messages }) => ({ content: inPopover(messages) ? "DAYS" : " and so on" }));
      const { page } = await open({ desk: 1 });
      await write(page, "days");
      await openPopover(page);
      await page.getByTestId("adjustment-prompt").fill("louder");
      await page.keyboard.press("Enter");
      await eventually(() => suggested(page).then((text) => text === "DAYS"), { what: "the edited text" });
      await page.getByTestId("insert-button").click();

      await eventually(() => letter(page).then((text) => text === "DAYS"), { what: "the text to be replaced" });
      const asked = vendor.requests.map(({ body }) => JSON.stringify(body)).find((body) => body.includes("louder"));
      assert.ok(asked.includes("<TextToEdit>days</TextToEdit>"), asked);
      await assertAllIsWell(visitor.visit);
    });

    test("has text put where the cursor stands in a textarea", async () => {
      vendor.answers(({ messages }) => ({ content: inPopover(messages) ? "and cold" : " and so on" }));
      const { page } = await open({ desk: 1 });
      await write(page, "short ");
      await page.keyboard.press("ControlOrMeta+k");
      await page.getByTestId("adjustment-prompt").fill("what else they are");
      await page.keyboard.press("Enter");
      await eventually(() => suggested(page).then((text) => text === "and cold"), { what: "the new text" });
      await page.getByTestId("insert-button").click();

      await eventually(() => letter(page).then((text) => text === "short and cold"), { what: "the text to be put in" });
      await assertAllIsWell(visitor.visit);
    });

    test("does a task in which the model calls its action", async () => {
      vendor.answers(() => calling(["changeBackground", { color: "teal" }]));
      const { page } = await open({ desk: 1 });
      await page.getByTestId("task").click();
      await eventually(() => background(page).then((colour) => colour === "teal"), { what: "a teal page" });

      await eventually(() => taskState(page).then((state) => state === "done"), { what: "the task to be done" });
      const [asked, ...more] = vendor.requests;
      assert.equal(wire.choice(asked.body), "any");
      assert.match(JSON.stringify(asked.body), /Paint the page teal\./);
      assert.deepEqual(more, []);
      await assertAllIsWell(visitor.visit);
    });

    test("lets the model call an action of the server, and talk of its result", async () => {
      vendor.answers(talkingOf(["weather", { place: "Oslo" }]));
      const { chat } = await open();
      await chat.say("How is the weather?");
      await chat.hear(`Heard: ${SNOW}`);

      assert.deepEqual(resultsOf(vendor), [[], [SNOW]]);
      assert.deepEqual(wire.tools(vendor.requests[0].body), ["changeBackground", "weather"]);
      await assertAllIsWell(visitor.visit);
    });

    for (const available of AVAILABLE) {
      test(`draws an action of the server that is available as "${available}" to the page`, async () => {
        vendor.answers(talkingOf(["weather", { place: "Oslo" }]));
        const { page, chat } = await open({ draws: available });
        await chat.say("How is the weather?");
        await chat.hear(`Heard: ${SNOW}`);

        const drawn = page.locator('[data-testid="weather"][data-status="complete"]', { hasText: "Oslo" });
        await drawn.first().waitFor();
        assert.deepEqual(resultsOf(vendor).at(-1), [SNOW]);
        await assertAllIsWell(visitor.visit);
      });
    }

    test("lets the model call an action of its own, and tells it what came of it", async () => {
      vendor.answers(talkingOf(["changeBackground", { color: "teal" }]));
      const { page, chat } = await open();
      await chat.say("Paint the page.");
      await chat.hear("Heard: The background is now teal.");

      assert.equal(await background(page), "teal");
      assert.equal(await page.getByTestId("action").getAttribute("data-status"), "complete");
      assert.deepEqual(resultsOf(vendor), [[], ["The background is now teal."]]);
      await assertAllIsWell(visitor.visit);
    });

    for (const order of [
      ["weather", "changeBackground"],
      ["changeBackground", "weather"],
    ]) {
      test(`lets the model call ${order.join(" and ")} in one answer`, async () => {
        const calls = { weather: { place: "Oslo" }, changeBackground: { color: "teal" } };
        vendor.answers(talkingOf(...order.map((each) => [each, calls[each]])));
        const { page, chat } = await open();
        await chat.say("Paint the page like the weather.");
        await chat.hear("Heard: ");

        assert.equal(await background(page), "teal");
        assert.equal(vendor.requests.length, 2);
        assert.deepEqual(resultsOf(vendor).at(-1).sort(), [SNOW, "The background is now teal."]);
        await assertAllIsWell(visitor.visit);
      });
    }

    test("shows the model a picture", async () => {
      vendor.answers(() => ({ content: ANSWER }));
      const { page, chat } = await open({ desk: 1 });
      const picture = { name: "dot.png", mimeType: "image/png", buffer: Buffer.from(PIXEL, "base64") };
      await page.locator('.copilotKitChat input[type="file"]').setInputFiles(picture);
      await page.locator(".copilotKitImageUploadQueue img").waitFor();
      await chat.say("What do you see?");
      await chat.hear(ANSWER);

      const { body } = vendor.requests.at(-1);
      assert.deepEqual(wire.pictures(body), [{ type: "image/png", bytes: PIXEL }]);
      assert.ok(wire.said(body).some(({ text }) => text === "What do you see?"));
      await assertAllIsWell(visitor.visit);
    });

    test("has its parameters reach the vendor, a temperature of zero too", async () => {
      vendor.answers(() => ({ content: ANSWER }));
      const { chat } = await open({ parameters: JSON.stringify(LIMITS) });
      await chat.say("Who are you?");
      await chat.hear(ANSWER);

      assert.deepEqual(wire.limits(vendor.requests[0].body), LIMITS);
      await assertAllIsWell(visitor.visit);
    });

    test("ends the vendor's request when the stop button is pressed, and takes the next turn", async () => {
      vendor.answers(({ messages }) => ({ content: messages.at(-1).content === "Tell a story" ? STORY : ANSWER }));
      const { chat } = await open();
      await chat.say("Tell a story");
      await chat.begun();

      await chat.stop();
      await eventually(() => vendor.requests[0].leftAt, { what: "the vendor to be left before its story is told" });

      await chat.say("Who are you?");
      await chat.hear(ANSWER);
      await assertStoppedWell(visitor.visit);
    });

    for (const { status, message } of REFUSALS) {
      test(`shows a banner when the vendor answers ${status}, without the key, and takes the next turn`, async () => {
        vendor.answers(() => ({ error: { message, type: "some_error" }, status }));
        const { page, chat, problems } = await open();
        await chat.say("Who are you?");
        const [banner] = await eventually(async () => filled(await banners(page)), { what: "the banner" });
        assert.match(banner, new RegExp(`${wire.name} API error: ${status} `));
        assert.ok(!`${await page.content()}${problems}`.includes(KEY), "the key is on the page");

        await chat.ready.waitFor();
        vendor.answers(() => ({ content: ANSWER }));
        await chat.say("Who are you now?");
        await chat.hear(ANSWER);
      });
    }

    test("takes a turn although the vendor refuses to suggest anything", async () => {
      vendor.answers(({ tools }) => (offers(tools, "extract") ? REFUSED : { content: ANSWER }));
      const { page, chat, problems } = await open({ suggestions: 1 });
      await vendor.asked((body) => wire.choice(body) === "extract", "suggestions to be asked for");
      await chat.say("Who are you?");
      await chat.hear(ANSWER);

      assert.equal(await page.locator('[data-test-id="suggestion"]').count(), 0);
      assert.ok(!`${await page.content()}${problems}`.includes(KEY), "the key is on the page");
    });

    test("lets a letter be written on although the vendor refuses to complete it", async () => {
      vendor.answers(() => REFUSED);
      const { page, problems } = await open({ desk: 1 });
      await write(page, "The days are short");
      await vendor.asked((body) => JSON.stringify(body).includes("The days are short"), "a completion to be asked for");
      await page.keyboard.type(", the nights are not");

      await eventually(() => letter(page).then((text) => text === "The days are short, the nights are not"), {
        what: "the rest to be written",
      });
      assert.ok(!`${await page.content()}${problems}`.includes(KEY), "the key is on the page");
    });

    function resultsOf({ requests }) {
      return requests.map(({ body }) => Object.values(wire.results(body)));
    }
  });
}

/** A rule: makes these calls, then says what came of them. */
function talkingOf(...calls) {
  return ({ messages }) => {
    const results = messages.filter(({ role }) => role === "tool").map(({ content }) => content);
    return results.length > 0 ? { content: `Heard: ${results.join(" ")}` } : calling(...calls);
  };
}

function calling(...calls) {
  return { toolCalls: calls.map(([name, given]) => ({ name, arguments: JSON.stringify(given) })) };
}

function offers(tools = [], name) {
  return tools.some((tool) => tool.function.name === name);
}

function inPopover(messages) {
  return /<(Editing|Insertion)Prompt>/.test(messages.at(-1).content);
}

// The editor passes over keys, and selections, that come before it has noticed where the cursor is.
async function write(page, text) {
  await eventually(
    async () => {
      await textarea(page).click();
      await page.keyboard.press("ControlOrMeta+a");
      await page.keyboard.type(text);
      return (await letter(page)) === text;
    },
    { what: "the text to be written" },
  );
}

/** Opens the textarea's popover for all of its text, once the editor has noticed that it is selected. */
async function openPopover(page) {
  await page.getByTestId("suggestion").waitFor();
  await page.keyboard.press("ControlOrMeta+a");
  await page.getByTestId("suggestion").waitFor({ state: "detached" });
  await page.keyboard.press("ControlOrMeta+k");
}

function textarea(page) {
  return page.getByTestId("copilot-textarea-editable");
}

function letter(page) {
  return page.getByTestId("desk").getAttribute("data-letter");
}

function suggested(page) {
  const result = page.getByTestId("suggestion-result");
  return result.count().then((count) => (count > 0 ? result.inputValue() : ""));
}

function background(page) {
  return page.locator("main").getAttribute("data-background");
}

function taskState(page) {
  return page.getByTestId("task").getAttribute("data-state");
}

function filled(list) {
  return list.length > 0 && list;
}
