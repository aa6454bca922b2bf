import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { assertAllIsWell } from "./harness/browser.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { Visitor } from "./harness/visitor.mjs";

const SAMPLE = fileURLToPath(new URL("../../examples/react", import.meta.url));
const run = promisify(execFile);

describe("the sample page of the quickstart", { timeout: 240_000 }, () => {
  let folder;
  let runtime;
  let visitor;

  before(async () => {
    runtime = await startRuntime("examples/custom_agent.py:runtime");
    folder = await mkdtemp(join(tmpdir(), "sample-"));
    await install();
    await build(runtime.url);
    visitor = await Visitor.start({ pages: folder });
  });

  after(async () => {
    await visitor?.stop();
    await runtime?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(() => visitor?.leave());

  async function install() {
    const [installed, locked] = await Promise.all(
      ["node_modules/.package-lock.json", "package-lock.json"].map((name) => stat(join(SAMPLE, name)).catch(() => {})),
    );
    if (!(installed?.mtime > locked.mtime)) await run("npm", ["ci", "--loglevel=error"], { cwd: SAMPLE });
  }

  function build(runtimeUrl) {
    const env = { ...process.env, VITE_RUNTIME_URL: runtimeUrl, VITE_AGENT: "my_agent" };
    return run("npx", ["vite", "build", "--logLevel", "error", "--outDir", folder, "--emptyOutDir"], { cwd: SAMPLE, env });
  }

  test("talks to the agent of one's own, and shows the state that it keeps", async () => {
    const { page, chat } = await visitor.go(visitor.site.url, [visitor.site.url, runtime.url]);
    await chat.say("Hello from the sample");
    await chat.hear("You said: Hello from the sample");
    await chat.say("And again");
    await chat.hear("You said: And again");

    await page.getByText("The agent counts 2 turns.").waitFor();
    await assertAllIsWell(visitor.visit);
  });
});
