import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { assertAllIsWell, openBrowser, openPage } from "./harness/browser.mjs";
import { Chat } from "./harness/chat.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { startSite } from "./harness/site.mjs";

const SAMPLE = fileURLToPath(new URL("../../examples/react", import.meta.url));
const run = promisify(execFile);

describe("the sample page of the quickstart", { timeout: 240_000 }, () => {
  let folder;
  let runtime;
  let site;
  let browser;
  let visit;

  before(async () => {
    runtime = await startRuntime("examples/custom_agent.py:runtime");
    folder = await mkdtemp(join(tmpdir(), "sample-"));
    await install();
    await build(runtime.url);
    site = await startSite({ pages: folder });
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await site?.stop();
    await runtime?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(() => visit?.context.close());

  async function install() {
    const [installed, locked] = await Promise.all(
      ["node_modules/.package-lock.json", "package-lock.json"].map((name) => stat(join(SAMPLE, name)).catch(() => {})),
    );
    if (!(installed?.mtime > locked.mtime)) await run("npm", ["ci", "--loglevel=error"], { cwd: SAMPLE });
  }

  function build(runtimeUrl) {
    const env = { ...process.env, VITE_RUNTIME_URL: runtimeUrl };
    return run("npx", ["vite", "build", "--logLevel", "error", "--outDir", folder, "--emptyOutDir"], { cwd: SAMPLE, env });
  }

  test("talks to the agent of one's own, and shows the state that it keeps", async () => {
    visit = await openPage(browser, site.url, [site.url, runtime.url]);
    const chat = await Chat.on(visit.page);
    await chat.say("Hello from the sample");
    await chat.hear("You said: Hello from the sample");
    await chat.say("And again");
    await chat.hear("You said: And again");

    await visit.page.getByText("The agent counts 2 turns.").waitFor();
    await assertAllIsWell(visit);
  });
});
