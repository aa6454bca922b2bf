import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { build } from "vite";

import { openBrowser } from "./harness/browser.mjs";
import { startRuntime } from "./harness/runtime.mjs";
import { startSite } from "./harness/site.mjs";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const NEWEST = fileURLToPath(new URL("react/1.74.0", import.meta.url));
const run = promisify(execFile);

// The packages are those that `react/build.mjs` installed, so that the page is built where they are.
describe("the React page of a new project, with the newest client", { timeout: 600_000 }, () => {
  const folder = join(NEWEST, "project");
  let temporary;
  let runtime;
  let site;
  let browser;

  before(async () => {
    temporary = await mkdtemp(join(tmpdir(), "project-"));
    const project = join(temporary, "project");
    await run(".venv/bin/copilotkit-runtime", ["init", project, "--kind", "custom", "--page"], { cwd: CHECKOUT });
    await rm(folder, { recursive: true, force: true });
    await cp(join(project, "page"), folder, { recursive: true });
    runtime = await startRuntime(join(project, "app.py:runtime"), { COPILOTKIT_STORE: "memory://" });
    await build({
      root: folder,
      configFile: join(folder, "vite.config.js"),
      logLevel: "error",
      define: { "import.meta.env.VITE_RUNTIME_URL": JSON.stringify(runtime.url) },
    });
    site = await startSite({ pages: join(folder, "dist") });
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await site?.stop();
    await runtime?.stop();
    await rm(folder, { recursive: true, force: true });
    await rm(temporary, { recursive: true, force: true });
  });

  test("names the packages that are tested", async () => {
    const [page, tested] = await Promise.all([folder, NEWEST].map(packages));
    for (const [name, version] of Object.entries(page)) assert.equal(version, tested[name], name);
  });

  test("talks to the agent, and shows the state that it keeps", async () => {
    const page = await (await browser.newContext()).newPage();
    await page.addInitScript(() => localStorage.setItem("cpk:inspector:hidden", "1"));
    const joined = page.waitForResponse((response) => response.url().includes("/connect") || isConnect(response));
    await page.goto(site.url);
    await (await joined).finished();
    await page.locator("textarea").fill("Hello from the project");
    await page.keyboard.press("Enter");
    await page.getByText("You said: Hello from the project").waitFor();
    await page.getByText("The agent counts 1 turns.").waitFor();
  });
});

async function packages(folder) {
  return JSON.parse(await readFile(join(folder, "package.json"), "utf8")).dependencies;
}

function isConnect(response) {
  return response.request().postData()?.includes('"agent/connect"') ?? false;
}
