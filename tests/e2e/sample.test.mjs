import assert from "node:assert/strict";
import { cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "vite";

import { assertAllIsWell } from "./harness/browser.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { Visitor } from "./harness/visitor.mjs";

const SAMPLE = fileURLToPath(new URL("../../examples/react-graphql", import.meta.url));
const HERE = fileURLToPath(new URL(".", import.meta.url));
const SOURCES = ["index.html", "package.json", "src", "vite.config.js"];

// The packages are those of these tests, so that the page is built where they are.
describe("the sample page with CopilotKit 1.10", { timeout: 240_000 }, () => {
  const folder = join(HERE, "sample");
  let runtime;
  let visitor;

  before(async () => {
    runtime = await startRuntime("examples/custom_agent.py:runtime");
    await rm(folder, { recursive: true, force: true });
    for (const each of SOURCES) await cp(join(SAMPLE, each), join(folder, each), { recursive: true });
    await build({
      root: folder,
      configFile: join(folder, "vite.config.js"),
      logLevel: "error",
      define: {
        "import.meta.env.VITE_RUNTIME_URL": JSON.stringify(runtime.url),
        "import.meta.env.VITE_AGENT": JSON.stringify("my_agent"),
      },
    });
    visitor = await Visitor.start({ pages: join(folder, "dist") });
  });

  after(async () => {
    await visitor?.stop();
    await runtime?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(() => visitor?.leave());

  test("names the packages that are tested", async () => {
    const [sample, tested] = await Promise.all([folder, HERE].map(packages));
    for (const [name, version] of Object.entries(sample)) assert.equal(version, tested[name], name);
  });

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

async function packages(folder) {
  const { dependencies, devDependencies } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  return { ...dependencies, ...devDependencies };
}
