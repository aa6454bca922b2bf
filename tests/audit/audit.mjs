// Audits the server at the URL given; fails unless every audit is met.
//
//   node audit.mjs URL [--write FILE]    FILE's table between the markers is replaced
import { readFile, writeFile } from "node:fs/promises";

import { auditServer } from "graphql-http";

const [url, flag, file] = process.argv.slice(2);
const results = await auditServer({ url });
const unmet = results.filter(({ status }) => status !== "ok");

for (const { status, id, name, reason } of unmet) console.log(`${status}: ${id} ${name}: ${reason}`);
const table = ["ok", "notice", "warn", "error"].map((wanted) => `| ${wanted} | ${count(wanted)} |`);
const markdown = ["| audit result | count |", "|---|---|", ...table, `| all | ${results.length} |`].join("\n");
console.log(markdown);
if (flag === "--write") await replace(file, markdown);

const failed = count("error") + count("warn");
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;

function count(wanted) {
  return results.filter(({ status }) => status === wanted).length;
}

async function replace(path, content) {
  const text = await readFile(path, "utf8");
  const between = /(<!-- audit -->\n)[^]*(<!-- \/audit -->)/;
  if (!between.test(text)) throw new Error(`${path} has no audit markers`);
  await writeFile(path, text.replace(between, `$1${content}\n$2`));
}
