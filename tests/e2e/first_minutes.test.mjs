import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { openBrowser } from "./harness/browser.mjs";
import { ChatPage } from "./harness/chat_page.mjs";
import { giveCommands } from "./harness/commands.mjs";
import { Recording } from "./harness/recording.mjs";
import { Terminal } from "./harness/terminal.mjs";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const NAME = "copilotkit-runtime-py";
const CLONE = `git clone …/${NAME} && cd ${NAME}`;
const SERVE = "make serve";
// `make recording` names a folder for the frames, and begins with a clone that has nothing installed.
const FRAMES = process.env.RECORDING;
const LETTER_MS = 45;
const LOOK_MS = 1500;
// uv's progress bars need a terminal that goes back; the flags of the make around this test are not for the one in it.
const SHOWN = { MAKEFLAGS: "UV_QUIET=--quiet", MAKELEVEL: "", COPILOTKIT_STORE: "memory://" };
const LAVENDER = "rgb(230, 230, 250)";
const run = promisify(execFile);

describe("two commands and one click after the clone", { timeout: 600_000 }, () => {
  let folder;
  let demo;
  let browser;
  let page;
  let chat;
  let recording;

  before(async () => {
    folder = FRAMES ? await clone() : CHECKOUT;
    browser = await openBrowser();
    page = await browser.newPage({ viewport: { width: 1120, height: 680 } });
    recording = new Recording(page, FRAMES);
  });

  after(async () => {
    await browser?.close();
    await demo?.stop();
    if (FRAMES && folder) await rm(join(folder, ".."), { recursive: true, force: true });
  });

  async function clone() {
    const parent = await mkdtemp(join(tmpdir(), "clone-"));
    await run("git", ["clone", "--quiet", CHECKOUT, NAME], { cwd: parent });
    return join(parent, NAME);
  }

  test("there is a conversation with the demo", async () => {
    const terminal = await Terminal.on(page);
    await typeInto(terminal, CLONE);
    await typeInto(terminal, SERVE);
    const printed = (output) => terminal.print(output);
    const port = FRAMES ? {} : { COPILOTKIT_PORT: "0" };
    demo = await recording.during(giveCommands(SERVE, folder, { ...SHOWN, ...port }, { printed, terminal: true }));
    await page.getByText("stop     Ctrl+C").waitFor();
    await recording.frame(LOOK_MS);

    chat = new ChatPage(page.context(), page, new URL(demo.url).origin);
    await terminal.follow(`${new URL(demo.url).origin}/`);
    await chat.ready();
    await recording.frame(LOOK_MS);

    await say("Hello! Who am I talking to?", "You said: Hello!");
    await say("Please change the background to lavender", "Done: The background is now lavender.");
    const main = page.locator("main");
    assert.equal(await main.evaluate((node) => getComputedStyle(node).backgroundColor), LAVENDER);

    await write("Ask me before you go on");
    await page.keyboard.press("Enter");
    const yes = page.getByRole("region", { name: "Questions" }).getByRole("button", { name: "Yes" });
    await recording.during(yes.waitFor());
    await recording.frame(LOOK_MS);
    await yes.click();
    await recording.during(chat.hear("You said: Ask me before you go on"));
    await recording.frame(2 * LOOK_MS);
    await recording.save();
    await chat.allIsWell();
  });

  async function typeInto(terminal, command) {
    await terminal.type("");
    for (const letter of command) {
      terminal.lines.at(-1).text += letter;
      if (FRAMES) await terminal.show();
      await recording.frame(LETTER_MS);
    }
    await terminal.show();
  }

  async function say(text, answer) {
    await write(text);
    await page.keyboard.press("Enter");
    await recording.during(chat.hear(answer));
    await recording.frame(LOOK_MS);
  }

  async function write(text) {
    const field = page.getByLabel("Message");
    for (const end of text.matchAll(/\S+\s*/g)) {
      await field.fill(text.slice(0, end.index + end[0].length));
      await recording.frame(3 * LETTER_MS);
    }
  }
});
