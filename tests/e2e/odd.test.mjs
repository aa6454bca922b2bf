import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { ChatPage } from "./harness/chat_page.mjs";
import { serving } from "./harness/served.mjs";

const MOST_ELEMENTS = 5_000;

describe("the chat page with odd contents", { timeout: 600_000 }, () => {
  const odd = serving("tests/e2e/odd_agents.py:runtime");
  let chat;

  afterEach(async () => {
    await chat?.leave();
    chat = undefined;
  });

  /** Have the agent answer with what `wanted` names. */
  async function answered(wanted) {
    chat = await ChatPage.open(odd.browser, new URL("/", odd.url).href);
    await chat.say(wanted);
    await chat.page.getByRole("button", { name: wanted }).first().waitFor();
    await chat.ready();
    return chat.page;
  }

  function elements(page) {
    return page.evaluate(() => document.querySelectorAll("*").length);
  }

  test("draws a bounded part of a state with 5,000 keys, and goes no deeper than it is opened", async () => {
    const page = await answered("state");
    const tree = page.getByRole("tabpanel", { name: "State" });
    await tree.getByText("and 4801 more").waitFor();
    await tree.getByText("-99", { exact: true }).waitFor();
    assert.ok((await elements(page)) < MOST_ELEMENTS);
    await chat.allIsWell();
  });

  test("opens a deep state level by level", async () => {
    const page = await answered("state");
    const levels = page.locator("#state details");
    const closed = page.locator("#state details:not([open])");
    await closed.waitFor();
    const before = await levels.count();
    await closed.locator("> summary").press("Enter");
    await levels.nth(before).waitFor();
    assert.equal(await levels.count(), before + 1);
    assert.equal(await closed.count(), 1);
    await chat.allIsWell();
  });

  test("keeps 500 of 2,000 events, the newest, and lays them out when they are opened", async () => {
    const page = await answered("events");
    await page.getByRole("tab", { name: "Events" }).click();
    assert.equal(await page.locator("#events li").count(), 500);
    assert.equal(await page.locator("#events pre").count(), 0);
    await page.locator("#events summary", { hasText: "CUSTOM" }).last().click();
    assert.match(await page.locator("#events pre").innerText(), /"number 1999"/);
    assert.ok((await elements(page)) < MOST_ELEMENTS);
    await chat.allIsWell();
  });

  test("shows the beginning of a tool's result of 1 MB, in the conversation and among the events", async () => {
    const page = await answered("result");
    const result = page.getByRole("group", { name: "Result" });
    assert.match(await result.textContent(), /^\[\n[\s\S]*… 1,\d{3},\d{3} more characters$/);
    assert.ok((await result.textContent()).length < 21_000);
    await page.getByRole("tab", { name: "Events" }).click();
    await page.locator("#events summary", { hasText: "TOOL_CALL_RESULT" }).click();
    assert.ok((await page.locator("#events pre").textContent()).length < 21_000);
    await chat.allIsWell();
  });

  test("shows markup, of people, agents and tools, as the text that it is", async () => {
    const page = await answered("markup");
    await chat.hear('<img src="nowhere" onerror="alert(1)"><script>alert(2)</script> **bold**');
    await chat.say("<b>I too</b>");
    await chat.hear("You said: <b>I too</b>");
    await chat.say("result");
    await page.locator(".call", { hasText: "<script>" }).waitFor();
    assert.equal(await page.locator("main :is(img, script, b, a)").count(), 0);
    await chat.allIsWell();
  });

  test("breaks words that are wider than it is", async () => {
    const page = await answered("word");
    await page.setViewportSize({ width: 320, height: 640 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    assert.equal(await page.locator("#log").evaluate((log) => log.scrollWidth > log.clientWidth), false);
    await chat.allIsWell();
  });

  test("writes each text in its own direction", async () => {
    const page = await answered("hebrew");
    const direction = (text) => page.locator(".text", { hasText: text }).evaluate((each) => getComputedStyle(each).direction);
    assert.equal(await direction("right to left"), "rtl");
    assert.equal(await direction(/^hebrew$/), "ltr");
    await chat.allIsWell();
  });

  test("puts together what is cut in the middle of a character", async () => {
    await answered("family");
    await chat.hear("👨‍👩‍👧");
    await chat.allIsWell();
  });

  test("shows a text of 100,000 characters whole", async () => {
    const page = await answered("long");
    assert.equal((await page.locator(".message.assistant .text").textContent()).length, 100_000);
    await chat.allIsWell();
  });
});
