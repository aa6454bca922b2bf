import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, afterEach, describe, test } from "node:test";

import { ChatPage } from "./harness/chat_page.mjs";
import { forward } from "./harness/forwarding.mjs";
import { serving } from "./harness/served.mjs";

describe("the chat page when connections break, and in several tabs", { timeout: 600_000 }, () => {
  const demo = serving("examples/demo.py:runtime");
  let chat;

  afterEach(async () => {
    await chat?.leave();
    chat = undefined;
  });

  async function open() {
    chat = await ChatPage.open(demo.browser, new URL("/", demo.url).href);
    return chat;
  }

  function texts(page) {
    return page.locator(".message .text").allTextContents();
  }

  function withoutConnection(page) {
    return page.locator("#status", { hasText: "No connection to the runtime. Trying again." }).waitFor();
  }

  /** Another tab of the same visitor, on the same thread. */
  async function openTab() {
    const tab = new ChatPage(chat.context, await chat.context.newPage(), new URL(demo.url).origin);
    await tab.page.goto(chat.page.url());
    await tab.ready();
    return tab;
  }

  test("sends what was written without a connection once there is one again", async () => {
    const { page, context } = await open();
    await chat.say("Hello before");
    await chat.hear("You said: Hello before");
    await context.setOffline(true);
    await chat.say("Hello in the tunnel");
    await withoutConnection(page);
    assert.deepEqual(await texts(page), ["Hello before", "You said: Hello before", "Hello in the tunnel"]);
    await context.setOffline(false);
    await chat.hear("You said: Hello in the tunnel");
    const all = ["Hello before", "You said: Hello before", "Hello in the tunnel", "You said: Hello in the tunnel"];
    assert.deepEqual(await texts(page), all);
    await page.reload();
    await chat.hear("You said: Hello in the tunnel");
    assert.deepEqual(await texts(page), all);
  });

  test("goes on with a run whose stream broke off, and does not send its message twice", async (t) => {
    const proxy = createServer((incoming, outgoing) => forward(incoming, outgoing, new URL(demo.url))).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    t.after(() => proxy.close());
    chat = await ChatPage.open(demo.browser, `http://127.0.0.1:${proxy.address().port}/`);
    const { page } = chat;
    await chat.say("Tell me a long story");
    await chat.hear("byte by byte", { ends: false });
    proxy.closeAllConnections();
    await withoutConnection(page);
    const heard = (await page.locator(".message.assistant .text").textContent()).length;
    await page.waitForFunction((length) => document.querySelector(".message.assistant .text").textContent.length > length + 50, heard);
    await page.keyboard.press("Escape");
    await chat.ready();
    assert.equal(await page.locator(".message").count(), 2);
  });

  test("gives up when it is stopped, and keeps what was written and asked", async () => {
    const { page, context } = await open();
    await chat.say("Ask me");
    await page.getByRole("button", { name: "Yes" }).waitFor();
    await context.setOffline(true);
    await page.getByRole("button", { name: "Yes" }).click();
    await withoutConnection(page);
    await page.keyboard.press("Escape");
    await page.locator(".message.error", { hasText: "The connection to the runtime is lost." }).waitFor();
    await context.setOffline(false);
    await page.getByRole("button", { name: "Yes" }).click();
    await chat.hear("You said: Ask me");
    await page.getByRole("tabpanel", { name: "State" }).getByText('"Ask: yes"').waitFor();
  });

  test("waits for a runtime that is not there yet", async () => {
    const context = await demo.browser.newContext();
    const page = await context.newPage();
    chat = new ChatPage(context, page, new URL(demo.url).origin);
    await page.route("**/info", (route) => route.abort());
    await page.goto(new URL("/", demo.url).href);
    await page.locator("#status", { hasText: "The runtime cannot be reached." }).waitFor();
    await page.unroute("**/info");
    await chat.ready();
    await chat.say("There you are");
    await chat.hear("You said: There you are");
    assert.equal(await page.locator("#status").textContent(), "");
  });

  test("shows in each tab what another one does in the same thread", async () => {
    const { page } = await open();
    await chat.say("Written here");
    await chat.hear("You said: Written here");
    const other = await openTab();
    await other.say("Tell me a long story");
    await chat.hear("byte by byte", { ends: false });
    await page.keyboard.press("Escape");
    await other.ready();
    await chat.ready();
    await chat.say("Written here again");
    await chat.hear("You said: Written here again");
    await other.hear("You said: Written here again");
    assert.deepEqual(await texts(page), await texts(other.page));
    await chat.allIsWell();
    await other.allIsWell();
  });

  test("begins a new thread when another tab deletes the one that it shows", async () => {
    const { page } = await open();
    const name = `Thread ${Date.now()}`;
    await chat.say(name);
    await chat.hear(`You said: ${name}`);
    const other = await openTab();
    other.page.on("dialog", (dialog) => dialog.accept());
    await other.page.getByRole("button", { name: `Delete ${name}` }).click();
    await page.locator(".message.error", { hasText: "The thread that was open here was deleted in another tab." }).waitFor();
    assert.equal(await page.locator(".message.user").count(), 0);
    await chat.say("A new beginning");
    await chat.hear("You said: A new beginning");
    assert.equal(await page.getByRole("navigation").getByText(name).count(), 0);
  });

  test("leads back to the thread before, and forward again", async () => {
    const { page } = await open();
    await chat.say("The first thread");
    await chat.hear("You said: The first thread");
    await page.getByRole("button", { name: "New thread" }).click();
    await chat.say("The second thread");
    await chat.hear("You said: The second thread");
    await page.goBack();
    await chat.hear("You said: The first thread");
    assert.deepEqual(await texts(page), ["The first thread", "You said: The first thread"]);
    await page.goForward();
    await chat.hear("You said: The second thread");
    assert.deepEqual(await texts(page), ["The second thread", "You said: The second thread"]);
    await chat.allIsWell();
  });

  test("opens a link with another name of the agent, and one to an agent that is gone", async () => {
    const { page } = await open();
    for (const agent of ["default", "gone"]) {
      await page.goto(new URL(`/#agent=${agent}&thread=${crypto.randomUUID()}`, demo.url).href);
      await page.waitForURL(/agent=planner/);
      await chat.ready();
      await chat.say(`Hello ${agent}`);
      await chat.hear(`You said: Hello ${agent}`);
    }
    await chat.allIsWell();
  });

  test("keeps what is selected in a text that grows", async () => {
    const { page } = await open();
    await chat.say("Tell me a long story");
    await chat.hear("byte by byte", { ends: false });
    const text = page.locator(".message.assistant .text");
    await text.evaluate((each) => getSelection().setBaseAndExtent(each.firstChild, 0, each.firstChild, 16));
    const length = (await text.textContent()).length;
    await page.waitForFunction((so) => document.querySelector(".message.assistant .text").textContent.length > so + 100, length);
    assert.equal(await page.evaluate(() => getSelection().toString()), "Once upon a time");
    await page.keyboard.press("Escape");
    await chat.ready();
    await chat.allIsWell();
  });
});
