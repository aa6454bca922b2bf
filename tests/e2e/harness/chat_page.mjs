import assert from "node:assert/strict";

import { VIEW } from "./browser.mjs";

/** The runtime's own chat page, as a person sees and uses it. */
export class ChatPage {
  /** Opens `url` as a new visitor. `options` are those of Playwright's contexts. */
  static async open(browser, url, options = {}) {
    const context = await browser.newContext({ ...VIEW, ...options });
    const page = await context.newPage();
    const chat = new ChatPage(context, page, new URL(url).origin);
    await page.goto(url);
    await chat.ready();
    return chat;
  }

  constructor(context, page, origin) {
    this.context = context;
    this.page = page;
    this.problems = [];
    page.on("pageerror", (error) => this.problems.push(`uncaught: ${error}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.problems.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== origin) this.problems.push(`foreign request: ${request.url()}`);
    });
  }

  /** Types a message and sends it. */
  async say(text) {
    await this.page.getByLabel("Message").fill(text);
    await this.page.keyboard.press("Enter");
    await this.page.locator(".message.user", { hasText: text }).last().waitFor();
  }

  /** Waits until an answer contains `text`, and unless not `ends`, until the page takes the next message. */
  async hear(text, { ends = true } = {}) {
    await this.page.locator(".message.assistant .text", { hasText: text }).first().waitFor();
    if (ends) await this.ready();
  }

  /** Waits until the page takes a message. */
  ready() {
    return this.page.locator('#log[data-busy="false"]').waitFor();
  }

  /** Nobody who looked at the page or at its console would complain. */
  async allIsWell() {
    assert.deepEqual(this.problems, []);
    assert.deepEqual(await this.page.locator(".message.error").allInnerTexts(), []);
  }

  async leave() {
    await this.context.close();
  }
}
