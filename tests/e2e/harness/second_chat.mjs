const ANSWER = '[data-testid="copilot-assistant-message"]';
const QUESTION = '[data-testid="copilot-user-message"]';
const START_MS = 240_000; // a development server bundles the packages when they are first asked for

/** The chat of a page by the second API, as a person sees and uses it. */
export class SecondChat {
  /** Opens `url` as a new visitor; the client has met the runtime. */
  static async open(browser, url) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 760 } });
    const chat = new SecondChat(context, await context.newPage());
    const met = chat.page.waitForEvent("requestfinished", { predicate: isInfo, timeout: START_MS });
    await chat.page.goto(url, { timeout: START_MS });
    await met;
    await chat.page.locator("textarea").waitFor();
    return chat;
  }

  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.problems = [];
    page.on("pageerror", (error) => this.problems.push(`uncaught: ${error}`));
    page.on("console", (message) => message.type() === "error" && this.problems.push(message.text()));
    page.on("request", (request) => {
      if (!isLocal(new URL(request.url()))) this.problems.push(`foreign request: ${request.url()}`);
    });
  }

  /** Types a turn and sends it. */
  async say(text) {
    await this.page.locator("textarea").fill(text);
    await this.page.keyboard.press("Enter");
    await this.page.locator(QUESTION, { hasText: text }).last().waitFor();
  }

  /** Waits until an answer contains `text`. */
  hear(text) {
    return this.page.locator(ANSWER, { hasText: text }).first().waitFor();
  }

  leave() {
    return this.context.close();
  }
}

function isInfo(request) {
  return request.url().endsWith("/info");
}

function isLocal({ protocol, hostname }) {
  return !protocol.startsWith("http") || ["localhost", "127.0.0.1"].includes(hostname);
}
