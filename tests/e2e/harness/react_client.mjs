import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { openBrowser } from "./browser.mjs";
import { builtPage } from "./built_page.mjs";
import { eventually } from "./eventually.mjs";
import { startSite } from "./site.mjs";

const ASSISTANT = '.copilotKitAssistantMessage, [data-testid="copilot-assistant-message"]';
const USER = '.copilotKitUserMessage, [data-testid="copilot-user-message"]';
const BUTTON = '[data-testid="copilot-send-button"], [data-test-id^="copilot-chat-re"]'; // ready, request-in-progress
const ANY_ORIGIN = { "access-control-allow-origin": "*" };
const WAIT_MS = 30_000;
const OPEN_MS = 60_000; // on a busy machine, a browser may take half a minute for its first page

/** A person with a browser, on a site whose page is built with the React packages of one version. */
export class ReactClient {
  static async start(version) {
    return new ReactClient(await startSite({ pages: builtPage(version) }), await openBrowser());
  }

  constructor(site, browser) {
    this.site = site;
    this.browser = browser;
    this.contexts = [];
  }

  /** Opens a conversation, on a new thread unless `threadId` names one. `api` is `v1` or `v2`; for more see the page. */
  async open({ api, threadId = randomUUID(), ...settings }) {
    const context = await this.browser.newContext();
    this.contexts.push(context);
    await context.addInitScript(() => window === top && localStorage.setItem("cpk:inspector:hidden", "1")); // frames may have no storage
    await context.route(isElsewhere, (route) => route.fulfill({ status: 200, headers: ANY_ORIGIN, body: "" }));
    const tab = await Tab.open(context, `${this.site.url}${api}.html?${new URLSearchParams({ threadId, ...settings })}`);
    await tab.joined();
    return tab;
  }

  /** Closes all tabs. */
  async leave() {
    await Promise.all(this.contexts.splice(0).map((context) => context.close()));
  }

  async stop() {
    await this.browser.close();
    await this.site.stop();
  }
}

/** One tab with a chat. `problems` is what the console complains about, `requests` what was sent to the runtime. */
class Tab {
  // Not Response.finished(): for a request that fails behind its answer's head, that waits until the page is closed.
  #answered = new Set();

  static async open(context, url) {
    const tab = new Tab(await context.newPage(), url);
    await tab.page.goto(url, { timeout: OPEN_MS });
    await tab.ready();
    return tab;
  }

  constructor(page, url) {
    this.page = page;
    this.url = url;
    this.threadId = new URL(url).searchParams.get("threadId");
    this.main = page.locator("main");
    this.answers = page.locator(ASSISTANT);
    this.questions = page.locator(USER);
    this.choice = page.getByTestId("choice");
    this.suggestions = page.getByTestId("copilot-suggestion");
    this.input = page.locator("textarea");
    this.button = page.locator(BUTTON);
    this.count = page.getByTestId("count");
    this.problems = [];
    this.requests = [];
    page.setDefaultTimeout(WAIT_MS);
    page.on("pageerror", (error) => this.problems.push(`uncaught: ${error}`));
    page.on("console", (message) => message.type() === "error" && this.problems.push(message.text()));
    page.on("request", (request) => request.url().includes("/api/") && this.requests.push(request));
    page.on("requestfinished", (request) => this.#answered.add(request));
  }

  /** Waits until the client knows the runtime and joins the thread. */
  async ready() {
    await this.input.waitFor();
    await eventually(() => this.requests.some(isConnect), { withinMs: WAIT_MS, what: "the client to join the thread" });
  }

  /**
   * Waits until the client has the thread's past: a turn typed before that is wiped out by it. A client that has
   * learned of the agent meanwhile gives its request up, be it behind the answer's head, and joins anew.
   */
  async joined() {
    const joins = () => this.requests.filter(isConnect);
    const come = () => joins().some((join) => this.#answered.has(join)) && joins().every((join) => this.#ended(join));
    await eventually(come, { withinMs: 4 * WAIT_MS, what: "the thread's past to come" });
    await this.rest();
  }

  #ended(request) {
    return this.#answered.has(request) || request.failure() !== null;
  }

  /** Opens the same conversation in another tab of the same browser. */
  another() {
    return Tab.open(this.page.context(), this.url);
  }

  /** Loads the page again. That its last document is cut off from the runtime is none of the problems. */
  async reload() {
    this.requests.length = 0;
    await this.page.reload({ timeout: OPEN_MS });
    this.problems.length = 0;
    await this.ready();
  }

  async say(text) {
    await this.input.fill(text);
    await this.button.click();
    await this.questions.filter({ hasText: text }).last().waitFor();
  }

  /** Attaches a file to the message that is written next. */
  async attach(path) {
    await this.page.locator('input[type="file"]').setInputFiles(path);
    await this.page.locator("main img").first().waitFor();
  }

  /** Presses the button that stops the run, and waits until it has ended. */
  async stop() {
    await this.page.bringToFront(); // a tab behind another draws no frames, without which a click waits for ever
    const answered = this.page.waitForResponse((response) => isStop(response.request()));
    await this.#press(this.button, () => this.requests.filter(isStop).length, "the client to send the stop");
    await answered;
    await this.rest();
  }

  /** Sends the suggestion with this text. */
  async chooseSuggestion(text) {
    const suggestion = this.suggestions.filter({ hasText: text }).first();
    await this.#press(suggestion, () => this.questions.count(), "the suggestion to become a question");
  }

  /** Presses until a count grows, as a person does: the client may draw the button anew under the pointer. */
  async #press(button, count, what) {
    const before = await count();
    const grown = async () => (await count()) > before;
    const pressed = async () => {
      if (!(await grown())) await button.click();
      return eventually(grown, { withinMs: 1_000 }).then(() => true, () => false);
    };
    return eventually(pressed, { withinMs: WAIT_MS, what });
  }

  /** Waits until an answer contains `text`. */
  hear(text) {
    return this.answers.filter({ hasText: text }).last().waitFor();
  }

  /** Waits until no run goes on. */
  rest() {
    return this.page.locator('main[data-running="false"]').waitFor();
  }

  /** What the assistant said, as one text. */
  async answer() {
    return (await this.answers.allInnerTexts()).join("\n").trim();
  }

  /** Waits until the answer is longer than it was, and returns it. */
  async growth() {
    const before = (await this.answer()).length;
    const grown = async () => (await this.answer()).length > before + 20 && this.answer();
    return eventually(grown, { withinMs: WAIT_MS, what: "the answer to grow" });
  }

  /** Chooses an answer to the question that the page puts. */
  choose(answer) {
    return this.choice.getByRole("button", { name: answer }).click();
  }

  /** Waits until the state that page and agent share has this count. */
  counted(count) {
    return this.page.locator(`[data-testid="count"][data-count="${count}"]`).waitFor();
  }

  /** Has the page list the threads anew, and waits for the answer. */
  async refreshThreads() {
    const listed = this.page.waitForEvent("requestfinished", isThreadList);
    await this.page.getByTestId("threads").getByText("Refresh").click();
    await listed;
  }

  assertNoProblems() {
    assert.deepEqual(this.problems, []);
  }
}

/** Whether a page wants something of the internet: some clients count their users, and show their maker's logo. */
function isElsewhere({ protocol, hostname }) {
  return protocol.startsWith("http") && hostname !== "127.0.0.1";
}

function isConnect(request) {
  return /\/connect$/.test(request.url()) || /"method":"agent\/connect"/.test(request.postData() ?? "");
}

function isThreadList(request) {
  return /\/threads\?/.test(request.url()) || /"path":"\/threads\?/.test(request.postData() ?? "");
}

function isStop(request) {
  return /\/stop\//.test(request.url()) || /"method":"agent\/stop"/.test(request.postData() ?? "");
}
