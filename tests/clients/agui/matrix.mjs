// Has published cores of AG-UI clients do what pages do: node matrix.mjs URL [--write FILE]
// With --write the table replaces what stands between the markers in FILE. Exits with 1 if anything failed.
import { readFileSync, writeFileSync } from "node:fs";

import { deeds } from "./deeds.mjs";
import { Page } from "./page.mjs";

const OPEN = "<!-- agui matrix -->";
const CLOSE = "<!-- /agui matrix -->";
const TRANSPORTS = ["rest", "single", "auto"];
const CORE = /^core-(\d+)-(\d+)-(\d+)$/;

const quiet = () => undefined;
Object.assign(console, { debug: quiet, info: quiet, warn: quiet, error: quiet }); // the cores report there as well

async function outcome(deed, version, transport, url) {
  try {
    await deed(await new Page(version, transport, url).open());
    return "ok";
  } catch (error) {
    return `failed: ${String(error.message).split("\n")[0]}`;
  }
}

async function drive(version, transport, url) {
  const outcomes = [];
  for (const deed of Object.values(deeds)) outcomes.push(await outcome(deed, version, transport, url));
  return [version, transport, ...outcomes];
}

function versions() {
  const { dependencies } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
  const cores = Object.keys(dependencies).map((name) => CORE.exec(name)).filter(Boolean);
  return cores.map(([, ...numbers]) => numbers.join("."));
}

const row = (cells) => `| ${cells.join(" | ")} |`;

function table(rows) {
  const head = ["core of", "transport", ...Object.keys(deeds)];
  return [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n");
}

function replaceBetweenMarkers(file, text) {
  const [before, rest] = readFileSync(file, "utf8").split(OPEN);
  const after = rest?.split(CLOSE)[1];
  if (after === undefined) throw new Error(`${file} has no ${OPEN} … ${CLOSE}`);
  writeFileSync(file, `${before}${OPEN}\n${text}\n${CLOSE}${after}`);
}

const [url, flag, file] = process.argv.slice(2);
const rows = [];
for (const version of versions()) {
  for (const transport of TRANSPORTS) rows.push(await drive(version, transport, url));
}
console.log(table(rows));
if (flag === "--write") replaceBetweenMarkers(file, table(rows));
process.exit(rows.flat().some((cell) => cell.startsWith("failed")) ? 1 : 0);
