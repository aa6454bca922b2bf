// Drives every published minor of the client against a server: node matrix.mjs URL [--write FILE]
// With --write the table replaces what stands between the markers in FILE. Exits with 1 if anything failed.
import { readFileSync, writeFileSync } from "node:fs";

import { capabilities, play } from "./capabilities.mjs";
import { loadClients } from "./clients.mjs";
import { documentsOf, unanswered } from "./documents.mjs";
import { Session } from "./session.mjs";

const OPEN = "<!-- client matrix -->";
const CLOSE = "<!-- /client matrix -->";
const NOT_ASKED = "–";
const BANNER = /version mismatch/i;

const warned = [];
console.warn = (...words) => warned.push(words.join(" "));

async function outcome(capability, session, documents) {
  if (capability.needs && !documents.generateCopilotResponse.includes(capability.needs)) return NOT_ASKED;
  try {
    await play(capability, session);
    return "ok";
  } catch (error) {
    return `failed: ${String(error.message).split("\n")[0]}`;
  }
}

async function drive(client, url) {
  const documents = await documentsOf(client);
  const missing = Object.values(documents).flatMap(unanswered);
  const sessions = capabilities.map(() => new Session(client, url));
  const outcomes = [];
  warned.length = 0;
  for (const [index, capability] of capabilities.entries()) {
    outcomes.push(await outcome(capability, sessions[index], documents));
  }
  const shown = [...sessions.flatMap(({ warnings }) => warnings), ...warned];
  const banner = shown.some((line) => BANNER.test(line)) ? "failed: shown" : "none";
  return [client.version, ...outcomes, banner, missing.length ? `failed: ${missing.join("; ")}` : "all"];
}

const row = (cells) => `| ${cells.join(" | ")} |`;

function table(rows) {
  const head = ["client", ...capabilities.map(({ name }) => name), "version banner", "fields answered"];
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
for (const client of loadClients()) rows.push(await drive(client, url));
console.log(table(rows));
if (flag === "--write") replaceBetweenMarkers(file, table(rows));
process.exit(rows.flat().some((cell) => cell.startsWith("failed")) ? 1 : 0);
