import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const NAME = /^client-\d+-\d+$/;

const require = createRequire(import.meta.url);
const here = (path) => new URL(path, import.meta.url);
const read = (path) => JSON.parse(readFileSync(here(path), "utf8"));

/** All installed clients, oldest first: their version and what they export. */
export function loadClients() {
  const names = Object.keys(read("package.json").dependencies).filter((name) => NAME.test(name));
  return names.map((name) => ({
    version: read(`node_modules/${name}/package.json`).version,
    api: require(name),
  }));
}
