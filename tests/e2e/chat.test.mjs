import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { ChatPage } from "./harness/chat_page.mjs";
import { serving } from "./harness/served.mjs";

const PICTURE = fileURLToPath(new URL("../../docs/chat.png", import.meta.url));
const TEAL = "rgb(0, 128, 128)";

/** Have the demo's agent answer on a thread of its own. */
async function startThread(url, content) {
  const ids = { threadId: crypto.randomUUID(), runId: crypto.randomUUID() };
  const messages = [{ id: crypto.randomUUID(), role: "user", content }];
  const body = JSON.stringify({ ...ids, messages, tools: [], context: [], state: {}, forwardedProps: {} });
  const headers = { "content-type": "application/json", accept: "text/event-stream" };
  const answer = await fetch(`${url}/agent/planner/run`, { method: "POST", headers, body });
  assert.match(await answer.text(), /RUN_FINISHED/);
}

describe("the chat page that the runtime serves itself", { timeout: 600_000 }, () => {
  const demo = serving("examples/demo.py:runtime");
  let chat;

  afterEach(async () => {
    await chat?.leave();
    chat = undefined;
  });

  async function open(path = "/", options = {}) {
    chat = await ChatPage.open(demo.browser, new URL(path, demo.url).href, options);
    return chat;
  }

  test("talks to the agent at once, from the server's root", async () => {
    const { page } = await open();
    assert.equal(await page.getByLabel("Agent", { exact: true }).inputValue(), "planner");
    await chat.say("Hello there");
    await chat.hear("You said: Hello there");
    await chat.allIsWell();
  });

  test("is the same below the runtime's URL", async () => {
    await open(`${new URL(demo.url).pathname}/chat`);
    await chat.say("Hello from below");
    await chat.hear("You said: Hello from below");
    await chat.allIsWell();
  });

  test("lets the agent change its background, and shows the call with arguments and result", async () => {
    const { page } = await open();
    await chat.say("Please change the background to teal");
    await chat.hear("Done: The background is now teal.");
    const call = page.locator(".call");
    assert.match(await call.innerText(), /changeBackground answered[\s\S]*"color": "teal"[\s\S]*The background is now teal\./);
    await page.waitForFunction((teal) => getComputedStyle(document.querySelector("main")).backgroundColor === teal, TEAL);
    await chat.allIsWell();
  });

  test("lets the agent pin a note", async () => {
    const { page } = await open();
    await chat.say("Note that the milk is out");
    await chat.hear("Done: The note is pinned.");
    assert.equal(await page.getByLabel("Notes").locator("li").innerText(), "the milk is out");
    await chat.allIsWell();
  });

  test("shows the agent's state as a tree that changes", async () => {
    const { page } = await open();
    await chat.say("Make a plan");
    await chat.hear("You said: Make a plan");
    const tree = page.getByRole("tabpanel", { name: "State" });
    await tree.getByText('"Read the request: Make a plan"').waitFor();
    assert.equal(await tree.getByText("true", { exact: true }).count(), 3);
    const first = tree.locator("details", { hasText: "plan" }).locator("details").first();
    await first.locator("summary").first().click();
    await chat.say("Another one");
    await chat.hear("You said: Another one");
    await tree.getByText('"Read the request: Another one"').waitFor({ state: "attached" });
    await chat.allIsWell();
  });

  test("shows events as they come, with their times", async () => {
    const { page } = await open();
    await page.getByRole("tab", { name: "State" }).focus();
    await page.keyboard.press("ArrowRight");
    await chat.say("Hello events");
    await chat.hear("You said: Hello events");
    const events = await page.locator("#events li").allInnerTexts();
    assert.match(events[0], /^\+0\.000 s RUN_STARTED/);
    assert.match(events.at(-1), /^\+\d+\.\d{3} s RUN_FINISHED/);
    await page.locator("#events summary").first().click();
    assert.match(await page.locator("#events pre").first().innerText(), /"threadId"/);
    await chat.allIsWell();
  });

  test("asks what the agent wants to know, and goes on with the answer", async () => {
    const { page } = await open();
    await chat.say("Ask me before you answer");
    const question = page.getByRole("region", { name: "Questions" });
    await question.getByText("Shall I go on with this plan?").waitFor();
    await question.getByLabel("Answer").fill("of course");
    await page.keyboard.press("Enter");
    await chat.hear("You said: Ask me before you answer");
    await page.getByRole("tabpanel", { name: "State" }).getByText('"Ask: of course"').waitFor();
    await chat.allIsWell();
  });

  test("asks again after a reload", async () => {
    const { page } = await open();
    await chat.say("Ask me twice");
    const question = page.getByRole("region", { name: "Questions" }).getByText("Shall I go on with this plan?");
    await question.waitFor();
    await page.reload();
    await question.waitFor();
    await page.getByRole("button", { name: "Yes" }).click();
    await chat.hear("You said: Ask me twice");
    await page.getByRole("tabpanel", { name: "State" }).getByText('"Ask: yes"').waitFor();
    await chat.allIsWell();
  });

  test("stops a run with Escape, and takes the next message", async () => {
    const { page } = await open();
    await chat.say("Tell me a long story");
    await chat.hear("byte by byte", { ends: false });
    await page.keyboard.press("Escape");
    await chat.ready();
    const told = await page.locator(".message.assistant .text").last().innerText();
    assert.ok(told.length < 3_000, "the story went on");
    await chat.say("Hello again");
    await chat.hear("You said: Hello again");
    await chat.allIsWell();
  });

  test("goes on with a live run after a reload, and can stop it", async () => {
    const { page } = await open();
    await chat.say("Tell me a long story");
    await chat.hear("byte by byte", { ends: false });
    await page.reload();
    await chat.hear("byte by byte", { ends: false });
    assert.equal(await page.locator(".message.user .text").innerText(), "Tell me a long story");
    const before = (await page.locator(".message.assistant .text").last().innerText()).length;
    await page.waitForFunction(
      (length) => [...document.querySelectorAll(".message.assistant .text")].at(-1).textContent.length > length + 50,
      before,
    );
    await page.getByRole("button", { name: "Stop" }).click();
    await chat.ready();
    await chat.allIsWell();
  });

  test("lists threads, opens an older one, and deletes it", async () => {
    const { page } = await open();
    const name = `Thread ${Date.now()}`;
    await chat.say(name);
    await chat.hear(`You said: ${name}`);
    await page.getByRole("button", { name: "New thread" }).click();
    const threads = page.getByRole("navigation", { name: "Threads" });
    await threads.locator(".thread", { hasText: name }).click();
    await chat.hear(`You said: ${name}`);
    page.on("dialog", (dialog) => dialog.accept());
    await threads.getByRole("button", { name: `Delete ${name}` }).click();
    await threads.locator(".thread", { hasText: name }).waitFor({ state: "detached" });
    assert.equal(await page.locator(".message").count(), 0);
    await chat.allIsWell();
  });

  test("shows older threads on request, and goes on showing them", async () => {
    const words = Date.now();
    for (let number = 0; number < 55; number += 1) await startThread(demo.url, `Older ${words} ${number}`);
    const { page } = await open();
    const threads = page.getByRole("navigation", { name: "Threads" });
    const ours = threads.locator(".thread", { hasText: `Older ${words}` });
    await ours.nth(49).waitFor();
    assert.equal(await threads.locator(".thread").count(), 50);
    await threads.getByRole("button", { name: "Older threads" }).press("Enter");
    await ours.nth(54).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.className), "thread");
    await chat.say("Are they still there?");
    await chat.hear("You said: Are they still there?");
    assert.equal(await ours.count(), 55);
    await chat.allIsWell();
  });

  test("is dark for who likes it dark, and remembers the switch", async () => {
    const { page } = await open("/", { colorScheme: "dark" });
    const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(await back(), "rgb(22, 23, 29)");
    await page.getByRole("button", { name: "Switch between dark and light" }).click();
    assert.equal(await back(), "rgb(255, 255, 255)");
    await page.reload();
    await chat.ready();
    assert.equal(await back(), "rgb(255, 255, 255)");
    await chat.allIsWell();
  });

  test("gives each control a name for screen readers, and the keyboard a way to it", async () => {
    const { page } = await open();
    await chat.say("Hello");
    await chat.hear("You said: Hello");
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll("button, input, select, textarea, [role=region], [role=log], [role=tabpanel], nav, aside")]
        .filter((each) => each.checkVisibility())
        .filter((each) => !(each.ariaLabel || each.getAttribute("aria-labelledby") || each.labels?.length || each.textContent.trim()))
        .map((each) => each.outerHTML),
    );
    assert.deepEqual(nameless, []);
    const unreachable = await page.evaluate(() => [...document.querySelectorAll("button, select, textarea")].filter((each) => each.tabIndex < 0 && each.role !== "tab").length);
    assert.equal(unreachable, 0);
    await page.keyboard.press("Alt+KeyN");
    await page.locator(".message").first().waitFor({ state: "detached" });
    await chat.allIsWell();
  });

  test("poses for the README's picture", { skip: process.env.SCREENSHOT !== "1" }, async () => {
    const { page } = await open();
    await chat.say("Hello! Who am I talking to?");
    await chat.hear("You said:");
    await chat.say("Please change the background to lavender");
    await chat.hear("Done:");
    await chat.say("Note that the demo needs no key");
    await chat.hear("The note is pinned.");
    await chat.say("Ask me before you go on");
    await page.getByRole("region", { name: "Questions" }).getByRole("button", { name: "Yes" }).waitFor();
    await page.waitForFunction(() => document.getAnimations().length === 0);
    await page.screenshot({ path: PICTURE });
    await chat.allIsWell();
  });
});
