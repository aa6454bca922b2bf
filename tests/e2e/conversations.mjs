import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { eventually } from "./harness/eventually.mjs";

const FOX = "The quick brown fox (naïve, 素早い, 🦊) jumps over the lazy dog.";
const PICTURE = fileURLToPath(new URL("../../docs/demo.png", import.meta.url));

/**
 * Tests what a person does in the chat of a page, whichever client the page is built with. `open` opens the page with
 * settings, `enveloped` says whether its client is to use the single endpoint.
 */
export function testConversations(open, { enveloped }) {
  test("shows an answer growing, on the transport that is expected", async () => {
    const tab = await open({ agent: "endless" });
    await tab.say("Go on.");
    await tab.growth();
    await tab.growth();
    assert.equal(tab.requests.some((request) => /"method":"agent\/run"/.test(request.postData() ?? "")), enveloped);
    await tab.stop();
    tab.assertNoProblems();
  });

  test("runs the page's tool, and gives the agent its result", async () => {
    const tab = await open({ agent: "painter" });
    await tab.say("Paint the page.");
    await tab.hear("The page says: The background is now teal.");
    assert.equal(await tab.main.getAttribute("data-background"), "teal");
    tab.assertNoProblems();
  });

  test("has a person answer the agent's tool call", async () => {
    const tab = await open({ agent: "host" });
    await tab.say("Invite me.");
    await tab.choose("yes");
    await tab.hear("The person says: yes");
    tab.assertNoProblems();
  });

  test("shares its state with the agent, both ways", async () => {
    const tab = await open({ agent: "counter" });
    await tab.count.click();
    await tab.counted(10);
    await tab.say("Count.");
    await tab.counted(12);
    await tab.rest();
    tab.assertNoProblems();
  });

  test("puts the agent's question to the person, and the answer to the agent", async () => {
    const tab = await open({ agent: "asker" });
    await tab.say("Ask me.");
    await tab.choose("blue");
    await tab.hear("You chose blue.");
    tab.assertNoProblems();
  });

  test("asks the question again after a reload, and takes the answer", async () => {
    const tab = await open({ agent: "asker" });
    await tab.say("Ask me.");
    await tab.choice.waitFor();
    await tab.rest();
    await tab.reload();
    await tab.choose("red");
    await tab.hear("You chose red.");
    tab.assertNoProblems();
  });

  test("shows the agent's suggestions, and sends the one that is chosen", async () => {
    const tab = await open({ agent: "", suggestions: "yes" });
    await tab.chooseSuggestion("Paint it");
    await tab.hear("The page says: The background is now teal.");
    tab.assertNoProblems();
  });

  test("shows the history after a reload", async () => {
    const tab = await open({ agent: "speaker" });
    await tab.say("Speak.");
    await tab.hear(FOX);
    await tab.rest();
    await tab.reload();
    await tab.hear(FOX);
    await tab.rest();
    assert.equal(await tab.questions.count(), 1);
    assert.equal(await tab.answers.count(), 1);
    tab.assertNoProblems();
  });

  test("keeps what was said when a run is stopped, and takes the next turn", async () => {
    const tab = await open({ agent: "endless" });
    await tab.say("Go on.");
    await tab.growth();
    await tab.stop();
    const told = await tab.answer();
    await tab.reload();
    await eventually(async () => (await tab.answer()) === told, { what: "what was told" });
    await tab.say("Go on again.");
    await tab.growth();
    await tab.stop();
  });
}

/** Tests what a person sees of a run that the page did not start. */
export function testJoining(open) {
  test("goes on live after a reload in the middle of a run", async () => {
    const tab = await open({ agent: "endless" });
    await tab.say("Go on.");
    await tab.growth();
    await tab.reload();
    await tab.growth();
    await tab.growth();
    await tab.stop();
    tab.assertNoProblems();
  });

  test("shows a run in a second tab, and ends in both when one of them stops it", async () => {
    const tab = await open({ agent: "endless" });
    await tab.say("Go on.");
    await tab.growth();
    const second = await tab.another();
    await second.growth();

    await tab.stop();
    await second.rest();
    assert.equal(await tab.answer(), await second.answer());
  });

  test("stops a run that it joined by a reload", async () => {
    const tab = await open({ agent: "endless" });
    await tab.say("Go on.");
    await tab.growth();
    await tab.reload();
    await tab.growth();
    await tab.stop();
  });
}

/** Tests what a person attaches to a message. */
export function testAttachments(open) {
  test("gives the agent the picture that the person attached", async () => {
    const tab = await open({ agent: "viewer" });
    await tab.attach(PICTURE);
    await tab.say("What do you see?");
    await tab.hear("Pictures seen: 1.");
    tab.assertNoProblems();
  });
}

/** Tests `CopilotTask`, which every client sends over GraphQL. */
export function testTask(open) {
  test("has a CopilotTask done, over GraphQL on the same URL", async () => {
    const tab = await open({ agent: "speaker" });
    await tab.page.getByTestId("task").click();
    await tab.page.locator('[data-testid="task"][data-state="done"]').waitFor();
    await tab.page.locator('main[data-background="teal"]').waitFor();
    assert.ok(tab.requests.some((request) => /generateCopilotResponse/.test(request.postData() ?? "")));
    tab.assertNoProblems();
  });
}

/** Tests what a person does with the list of threads. */
export function testThreads(open) {
  test("lists the thread by its first message, and renames and archives it", async () => {
    const tab = await open({ agent: "speaker" });
    await tab.say("Speak of foxes.");
    await tab.hear(FOX);
    await tab.rest();
    const thread = tab.page.locator(`[data-thread="${tab.threadId}"]`);
    await tab.refreshThreads();
    await thread.filter({ hasText: "Speak of foxes." }).waitFor();

    await thread.getByText("Rename").click();
    await thread.filter({ hasText: "A better name" }).waitFor();
    await thread.getByText("Archive").click();
    await thread.waitFor({ state: "detached" });
    await tab.refreshThreads();
    assert.equal(await thread.count(), 0);
    tab.assertNoProblems();
  });

  test("deletes the thread for good", async () => {
    const tab = await open({ agent: "speaker" });
    await tab.say("Speak.");
    await tab.hear(FOX);
    await tab.rest();
    await tab.refreshThreads();
    const thread = tab.page.locator(`[data-thread="${tab.threadId}"]`);
    await thread.getByText("Delete").click();
    await thread.waitFor({ state: "detached" });
    await tab.reload();
    await tab.joined();
    assert.equal(await tab.answers.count(), 0);
    tab.assertNoProblems();
  });
}
