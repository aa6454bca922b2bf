import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { openBrowser } from "./harness/browser.mjs";
import { giveCommands } from "./harness/commands.mjs";
import { commandsOf, filesOf, sectionOf } from "./harness/guide.mjs";
import { SecondChat } from "./harness/second_chat.mjs";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const QUICKSTART = join(CHECKOUT, "docs/quickstart.md");
const BIN = join(CHECKOUT, ".venv/bin");
const READER = { PATH: [BIN, process.env.PATH].join(delimiter), COPILOTKIT_PORT: "0", COPILOTKIT_STORE: "memory://" };
// `CLIENT=latest scripts/e2e quickstart.test.mjs` takes the client that npm gives today, not the one of the lock file.
const CLIENT = process.env.CLIENT;
const PARTS = ["node_modules", "dist"];
const run = promisify(execFile);

describe("the quickstart, word for word, with the newest client", { timeout: 600_000 }, () => {
  let folder;
  let agent;
  let pages;
  let browser;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "quickstart-"));
    browser = await openBrowser();
    agent = await serveAgent();
    pages = await servePage();
  });

  after(async () => {
    await browser?.close();
    await pages?.stop();
    await agent?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function serveAgent() {
    const blocks = await sectionOf(QUICKSTART, "A custom agent");
    await writeFiles(folder, filesOf(blocks));
    const commands = commandsOf(blocks).replace("pip install .\n", ""); // it is in the environment of these tests
    return giveCommands(commands, folder, READER);
  }

  async function servePage() {
    const blocks = await sectionOf(QUICKSTART, "A React client");
    const react = join(folder, "examples/react");
    await cp(join(CHECKOUT, "examples/react"), react, { recursive: true, filter: isSource });
    await writeFiles(react, filesOf(blocks));
    const newest = CLIENT ? `(cd examples/react && npm install @copilotkit/react-core@${CLIENT})\n` : "";
    return giveCommands(newest + commandsOf(blocks), folder, { VITE_RUNTIME_URL: agent.url });
  }

  test("talks to the agent of one's own, and shows the state that it keeps", async () => {
    const chat = await SecondChat.open(browser, pages.url);
    await chat.say("Hello from the quickstart");
    await chat.hear("You said: Hello from the quickstart");
    await chat.say("And again");
    await chat.hear("You said: And again");
    await chat.page.getByText('"turns": 2').waitFor();
    await chat.leave();
    assert.deepEqual(chat.problems, []);
  });

  // It has the same packages, which are neither installed nor bundled a second time: its files take the others' places.
  test("is what `init --page` writes for another agent", async () => {
    await pages.stop();
    const react = join(folder, "examples/react");
    const project = join(folder, "project");
    await run(join(BIN, "copilotkit-runtime"), ["init", project, "--kind", "custom", "--page"]);
    assert.deepEqual(await packages(join(project, "page")), await packages(join(CHECKOUT, "examples/react")));
    await cp(join(project, "page"), react, { recursive: true });
    pages = await giveCommands("npm run dev", react, { VITE_RUNTIME_URL: agent.url });

    const chat = await SecondChat.open(browser, pages.url);
    await chat.say("Hello from the project");
    await chat.hear("You said: Hello from the project");
    await chat.leave();
    assert.deepEqual(chat.problems, []);
  });
});

function isSource(path) {
  return !PARTS.includes(basename(path));
}

async function writeFiles(folder, files) {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

async function packages(folder) {
  const { dependencies, devDependencies } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  return { ...dependencies, ...devDependencies };
}
