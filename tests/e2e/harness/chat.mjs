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

  /** Waits until an answer contains `text`, and until the chat takes the next turn. */
  async hear(text) {
    await this.answers.filter({ hasText: text }).first().waitFor();
    await this.ready.waitFor();
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
