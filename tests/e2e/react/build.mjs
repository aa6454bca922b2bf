/**
 * Builds the page in `page/` with the React packages of the versions named as arguments, each into
 * `build/react/<version>` of the checkout. Installs packages and builds only what is not built yet.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { build } from "vite";

import { builtPage } from "../harness/built_page.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PAGE = join(HERE, "page");
const STAMP = ".sources";
const WITH_SECOND_API = "1.74.0"; // before 1.55, the second API is a package of its own

const stamp = hashOfSources();
const versions = process.argv.slice(2);
const missing = versions.filter((version) => readStamp(version) !== stamp);
if (!versions.every(isInstalled)) install(versions); // npm removes the packages of those that it is not given
for (const version of missing) await buildPage(version);

function hashOfSources() {
  const files = readdirSync(PAGE, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, path, name }) => join(parentPath ?? path, name)).sort();
  const hash = createHash("sha256");
  for (const path of [join(HERE, "package-lock.json"), join(HERE, "build.mjs"), ...paths]) {
    hash.update(path.slice(HERE.length)).update(readFileSync(path));
  }
  return hash.digest("hex");
}

function readStamp(version) {
  const file = join(builtPage(version), STAMP);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

/** Whether the packages of `version` are there. What several versions share is in the folder above theirs. */
function isInstalled(version) {
  return [join(HERE, version), HERE].some((folder) => readVersion(join(folder, "node_modules")) === version);
}

function readVersion(packages) {
  const file = join(packages, "@copilotkit/react-core/package.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : undefined;
}

function install(versions) {
  const workspaces = versions.map((version) => `--workspace=${version}`);
  execFileSync("npm", ["ci", "--loglevel=error", ...workspaces], { cwd: HERE, stdio: ["ignore", "ignore", "inherit"] });
}

async function buildPage(version) {
  const apis = version === WITH_SECOND_API ? ["v1", "v2"] : ["v1"];
  await build({
    root: PAGE,
    configFile: false,
    logLevel: "error",
    plugins: [packagesOf(version)],
    esbuild: { jsx: "automatic" },
    build: {
      outDir: builtPage(version),
      emptyOutDir: true,
      minify: false,
      reportCompressedSize: false,
      chunkSizeWarningLimit: 10_000,
      rollupOptions: { input: apis.map((api) => join(PAGE, `${api}.html`)) },
    },
  });
  writeFileSync(join(builtPage(version), STAMP), stamp);
}

/** Has the page's own modules import the packages of `version`. */
function packagesOf(version) {
  const importer = join(HERE, version, "package.json");
  return {
    name: "packages-of-version",
    enforce: "pre",
    resolveId(source, from, options) {
      if (!from?.startsWith(PAGE) || /^[./]/.test(source) || source.startsWith("\0")) return null;
      return this.resolve(source, importer, { ...options, skipSelf: true });
    },
  };
}
