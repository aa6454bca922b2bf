import assert from "node:assert/strict";

import { eventually } from "./eventually.mjs";

/** The chat of a page, as a person sees and uses it. */
export class Chat {
  constructor(page) {
    this.page = page;
    this.input = page.locator(".copilotKitInput textarea");
    this.answers = page.locator(".copilotKitAssistantMessage");
    this.ready = page.locator('[data-test-id="copilot-chat-ready"]');
    this.stopButton = page.locator('[data-test-id="copilot-chat-request-in-progress"]');
  }

  /** The chat of `page`, once it takes a turn. */
  static async on(page) {
    const chat = new Chat(page);
    await chat.ready.waitFor();
    return chat;
  }

  /** Types a turn, and sends it: the page then shows it. */
  async say(text) {
    await this.input.fill(text);
    await this.input.press("Enter");
    await this.page.locator(".copilotKitUserMessage", { hasText: text }).last().waitFor();
  }

  /** Waits until an answer contains `text`, whether or not it goes on. */
  shows(text) {
    return this.answers.filter({ hasText: text }).first().waitFor();
  }

  /** Waits until an answer contains `text`, and until the chat takes the next turn. */
  async hear(text) {
    await this.shows(text);
    await this.ready.waitFor();
  }

  /** Waits until the answer to the last turn is longer than `length`. */
  begun(length = 20) {
    return eventually(async () => (await this.answer()).length > length, { what: "an answer to begin" });
  }

  /** Presses the stop button, and waits until the chat takes the next turn; returns when it was pressed. */
  async stop() {
    const pressed = Date.now();
    await this.stopButton.click();
    await this.ready.waitFor();
    return pressed;
  }

  /** What was said, as `{role, text}`, in the order shown. */
  turns() {
    return this.page.locator(".copilotKitMessage").evaluateAll((nodes) =>
      nodes.map((node) => ({
        role: node.classList.contains("copilotKitUserMessage") ? "user" : "assistant",
        text: node.innerText.trim(),
      })),
    );
  }

  /** What was answered to the last turn, so far. */
  async answer() {
    const turns = await this.turns();
    const asked = turns.map(({ role }) => role).lastIndexOf("user");
    return turns
      .slice(asked + 1)
      .map(({ text }) => text)
      .join("\n");
  }

  /** Notes from now on every text that an assistant message has shown; returns a function that reads the notes. */
  async watchAnswers() {
    await this.page.evaluate(() => {
      const seen = (window.seenAnswers = new Set());
      const look = () =>
        document.querySelectorAll(".copilotKitAssistantMessage").forEach((node) => seen.add(node.innerText.trim()));
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    return () => this.page.evaluate(() => [...window.seenAnswers]);
  }
}

/** That among the texts `shown` there are at least three on the way to `answer`. */
export function assertGrew(shown, answer) {
  const growing = shown.filter((text) => text !== "" && answer.startsWith(text));
  assert.ok(growing.length >= 3, `seen growing: ${JSON.stringify(growing)}`);
}
