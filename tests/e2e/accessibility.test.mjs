import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { assertAccessible } from "./harness/audit.mjs";
import { ChatPage } from "./harness/chat_page.mjs";
import { eventually } from "./harness/eventually.mjs";
import { serving } from "./harness/served.mjs";

describe("the chat page for people with other needs and other screens", { timeout: 600_000 }, () => {
  const demo = serving("examples/demo.py:runtime");
  let chat;

  afterEach(async () => {
    await chat?.leave();
    chat = undefined;
  });

  async function open(options = {}) {
    chat = await ChatPage.open(demo.browser, new URL("/", demo.url).href, options);
    return chat;
  }

  /** What the keyboard's focus is on, as an accessible name or an id. */
  function focused(page) {
    return page.evaluate(() => {
      const { id, ariaLabel, textContent } = document.activeElement;
      return id || ariaLabel || textContent;
    });
  }

  /** Press Tab, or another key, until the focus is there. */
  async function tabTo(page, name, key = "Tab") {
    for (let presses = 0; presses < 60; presses += 1) {
      if ((await focused(page)) === name) return;
      await page.keyboard.press(key);
    }
    assert.fail(`the keyboard does not lead to ${name}`);
  }

  async function assertAccessibleInBothThemes(page) {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await assertAccessible(page);
    }
  }

  test("has nothing that axe finds fault with, light or dark", async () => {
    const { page } = await open();
    await chat.say("Please change the background to teal");
    await chat.hear("Done: The background is now teal.");
    await chat.say("Note that the milk is out");
    await chat.hear("Done: The note is pinned.");
    await page.getByRole("tab", { name: "Events" }).click();
    await page.getByRole("button", { name: "Clear" }).click();
    await chat.say("Tell me a long story");
    await chat.hear("byte by byte", { ends: false });
    await page.locator("#events summary").first().click();
    await page.locator("#status", { hasText: "Running" }).waitFor();
    await assertAccessibleInBothThemes(page);
    await page.keyboard.press("Escape");
    await chat.ready();
    await page.getByRole("tab", { name: "State" }).click();
    await chat.say("Ask me before you answer");
    await page.getByRole("button", { name: "Yes" }).waitFor();
    await page.route("**/run", (route) => route.fulfill({ status: 401, json: { message: "Who are you?" } }));
    await page.getByRole("button", { name: "Yes" }).click();
    await page.locator(".message.error", { hasText: "Who are you?" }).waitFor();
    await page.getByRole("button", { name: "Yes" }).waitFor();
    await assertAccessibleInBothThemes(page);
  });

  test("is used with the keyboard alone", async () => {
    const { page } = await open();
    page.on("dialog", (dialog) => dialog.accept());
    assert.equal(await focused(page), "text");
    await page.keyboard.type("Ask me first");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("and then answer");
    await tabTo(page, "send");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Yes" }).waitFor();
    assert.equal(await focused(page), "Answer");
    await tabTo(page, "No");
    await page.keyboard.press("Space");
    assert.equal(await focused(page), "text");
    await chat.hear("You said: Ask me first\nand then answer");
    await page.getByRole("tabpanel", { name: "State" }).getByText('"Ask: no"').waitFor();

    await page.keyboard.type("Tell me a long story");
    await page.keyboard.press("Enter");
    await chat.hear("byte by byte", { ends: false });
    await tabTo(page, "stop");
    await page.keyboard.press("Enter");
    await chat.ready();
    assert.equal(await focused(page), "stop");

    await tabTo(page, "state-tab");
    await page.keyboard.press("End");
    assert.equal(await focused(page), "events-tab");
    await page.getByRole("tabpanel", { name: "Events" }).waitFor();
    await page.keyboard.press("Home");
    await page.getByRole("tabpanel", { name: "State" }).waitFor();

    await tabTo(page, "new", "Shift+Tab");
    await page.keyboard.press("Enter");
    assert.equal(await focused(page), "text");
    await page.keyboard.type("Here too");
    await page.keyboard.press("Enter");
    await chat.hear("You said: Here too");
    const older = page.getByRole("navigation").getByRole("button", { name: /^Ask me first and then/ });
    await tabTo(page, await older.textContent(), "Shift+Tab");
    await page.keyboard.press("Enter");
    await chat.hear("You said: Ask me first");
    await tabTo(page, "Delete Here too", "Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Delete Here too" }).waitFor({ state: "detached" });
    assert.notEqual(await page.evaluate(() => document.activeElement.tagName), "BODY");
    await chat.allIsWell();
  });

  test("keeps the keyboard where it is in the list of threads when the list is read anew", async () => {
    const { page } = await open();
    await chat.say("The first of them");
    await chat.hear("You said: The first of them");
    await chat.say("Tell me a long story");
    await chat.hear("byte by byte", { ends: false });
    const ours = page.getByRole("button", { name: "Delete The first of them" });
    const before = await ours.elementHandle();
    await ours.focus();
    await page.keyboard.press("Escape");
    await page.waitForFunction((each) => !each.isConnected, before);
    assert.equal(await focused(page), "Delete The first of them");
    await chat.allIsWell();
  });

  test("leaves a person who is writing where they are when a question comes, and announces it", async () => {
    const { page } = await open({ viewport: { width: 1280, height: 420 } });
    await chat.say("Hello to begin with");
    await chat.hear("You said: Hello to begin with");
    await page.getByLabel("Message").fill("Ask me");
    await page.keyboard.press("Enter");
    await page.keyboard.type("Meanwhile");
    await page.getByRole("button", { name: "Yes" }).waitFor();
    assert.equal(await focused(page), "text");
    assert.ok(await page.locator("#log").evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 2), "the end is hidden");
    await page.locator("#announcements", { hasText: "The agent asks: Shall I go on with this plan?" }).waitFor({ state: "attached" });
    await chat.allIsWell();
  });

  test("takes an answer after one that was no JSON", async () => {
    const { page } = await open();
    await chat.say("Ask me");
    await page.getByLabel("JSON").check();
    await page.getByLabel("Answer", { exact: true }).fill("no JSON");
    await page.keyboard.press("Enter");
    assert.equal(await page.getByLabel("Answer", { exact: true }).evaluate((each) => each.validationMessage), "This is not JSON.");
    await page.getByLabel("JSON").uncheck();
    await page.getByLabel("Answer", { exact: true }).press("Enter");
    await page.getByRole("tabpanel", { name: "State" }).getByText('"Ask: no JSON"').waitFor();
    await chat.allIsWell();
  });

  test("neither sends nor stops with the keys of an input method that is composing", async () => {
    const { page } = await open();
    const keys = await page.context().newCDPSession(page);
    const press = (key) => keys.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key, code: key, windowsVirtualKeyCode: 229 });
    await chat.say("Tell me a long story");
    await chat.hear("byte by byte", { ends: false });
    await keys.send("Input.imeSetComposition", { text: "にほ", selectionStart: 2, selectionEnd: 2 });
    await press("Escape");
    await press("Enter");
    assert.equal(await page.getByLabel("Message").inputValue(), "にほ");
    const length = (await page.locator(".message.assistant").last().innerText()).length;
    await page.waitForFunction((so) => [...document.querySelectorAll(".message.assistant")].at(-1).innerText.length > so + 100, length);
    await keys.send("Input.insertText", { text: "日本" });
    await page.keyboard.press("Escape");
    await chat.ready();
    assert.equal(await page.locator(".message.user").count(), 1);
    await page.keyboard.press("Enter");
    await chat.hear("You said: 日本");
    await chat.allIsWell();
  });

  test("announces sentences, each once, and nothing of the past", async () => {
    const { page } = await open();
    const announced = () => page.locator("#announcements p").allTextContents();
    await chat.say("Tell me a long story");
    await eventually(async () => (await announced()).length > 2, { what: "sentences" });
    await page.keyboard.press("Escape");
    await chat.ready();
    const [first, ...others] = await announced();
    assert.match(first, /^Agent: Once upon a time [^.]*\.\s/);
    for (const sentence of others.slice(0, -1)) assert.match(sentence, /\.\s$/);
    const told = await page.locator(".message.assistant .text").textContent();
    assert.equal([first, ...others].join(""), `Agent: ${told}`);
    assert.equal(await page.getByRole("log").getAttribute("aria-live"), "off");
    await page.reload();
    await chat.hear("Once upon a time");
    assert.deepEqual(await announced(), []);
    await chat.allIsWell();
  });

  test("stays on the agent's name when another agent is picked with the keyboard", async () => {
    const { page } = await open();
    await page.evaluate(() => document.getElementById("agent").append(new Option("another")));
    await page.getByLabel("Agent", { exact: true }).focus();
    await page.keyboard.press("ArrowDown");
    await page.waitForURL(/agent=another/);
    assert.equal(await focused(page), "agent");
  });

  test("is whole on small screens, and on others at 200 % or 400 %", async () => {
    const { page } = await open();
    await chat.say("Note that the milk is out");
    await chat.hear("Done: The note is pinned.");
    await chat.say("Ask me");
    await page.getByRole("button", { name: "Yes" }).waitFor();
    for (const [width, height] of [[1280, 380], [640, 380], [320, 640], [320, 256]]) {
      await page.setViewportSize({ width, height });
      const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      assert.equal(isWide, false);
      for (const name of ["#log", "#text", "#send", "#stop", "#new", "#theme", "#state-tab", "#events-tab"]) {
        const box = await page.locator(name).boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= width && box.height >= 24, `${name}: ${JSON.stringify(box)}`);
      }
      const log = await page.locator("#log").boundingBox();
      assert.ok(log.height >= 90, `the conversation is ${log.height} high`);
      const note = await page.locator("#notes").boundingBox();
      assert.ok(note.y + note.height <= log.y, "the note hides the conversation");
    }
    await assertAccessible(page);
    await page.getByRole("button", { name: "Yes" }).click();
    await chat.hear("You said: Ask me");
    await chat.allIsWell();
  });

  test("marks what is chosen without colours, where the system takes them away", async () => {
    const { page } = await open({ forcedColors: "active" });
    await chat.say("Something chosen");
    await chat.hear("You said: Something chosen");
    const border = (locator) => locator.evaluate((each) => getComputedStyle(each).borderTopWidth);
    assert.equal(await border(page.locator('[role=tab][aria-selected="true"]')), "3px");
    assert.equal(await border(page.locator('[role=tab][aria-selected="false"]')), "1px");
    assert.equal(await border(page.locator(".thread[aria-current]")), "3px");
    await chat.allIsWell();
  });

  test("moves nothing for people who want no motion", async () => {
    const { page } = await open({ reducedMotion: "reduce" });
    await chat.say("Make a plan");
    await chat.hear("You said: Make a plan");
    await chat.say("Make another plan");
    await chat.hear("You said: Make another plan");
    assert.equal(await page.locator(".changed").first().evaluate((each) => getComputedStyle(each).animationName), "none");
    assert.equal(await page.locator("main").evaluate((each) => getComputedStyle(each).transitionProperty), "none");
  });
});
