// Reads streams from standard input, a line of JSON each, and has the published schemas and rules of the oldest and the
// newest clients judge them: node validate.mjs. Exits with 1 if a client would not read one of them.
import { createInterface } from "node:readline";
import { from, lastValueFrom, toArray } from "rxjs";

const quiet = () => undefined;
Object.assign(console, { debug: quiet, info: quiet, warn: quiet });

// The oldest client knows reasoning only under its older name.
const JUDGES = [
  { version: "0-0-42", reasoning: ["thinking", "off"] },
  { version: "0-0-59", reasoning: ["on", "thinking", "off"] },
  { version: "1-0-0", reasoning: ["on", "off"] },
];

async function load({ version, reasoning }) {
  const { EventSchemas } = await import(`agui-core-${version}`);
  const schemas = EventSchemas ?? (await import(`agui-core-${version}/schemas`)).EventSchemas;
  const { verifyEvents } = await import(`agui-client-${version}`);
  return { version, reasoning, schemas, verify: verifyEvents(false) };
}

async function judge({ version, schemas, verify }, { seed, reasoning, events }) {
  for (const event of events) {
    const { success, error } = schemas.safeParse(event);
    if (!success) return [`${version}, seed ${seed}, ${reasoning}: ${JSON.stringify(event)}: ${error.message}`];
  }
  try {
    await lastValueFrom(from(events).pipe(verify, toArray()));
    return [];
  } catch (error) {
    return [`${version}, seed ${seed}, ${reasoning}: ${error.message}`];
  }
}

const judges = await Promise.all(JUDGES.map(load));
const failures = [];
let judged = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const stream = JSON.parse(line);
  for (const one of judges.filter(({ reasoning }) => reasoning.includes(stream.reasoning))) {
    failures.push(...(await judge(one, stream)));
    judged += 1;
  }
}
console.log(`${judged} streams judged, ${failures.length} refused`);
failures.slice(0, 10).forEach((failure) => console.log(failure.slice(0, 600)));
process.exit(failures.length > 0 || judged === 0 ? 1 : 0);
