import process from "node:process";

const children = new Set();

/** Sees to it that `child` does not outlive this process, however the process ends, and does not hold it up. */
export function own(child) {
  children.add(child);
  child.once("exit", () => children.delete(child));
  child.unref();
  child.stdout.unref();
  child.stderr.unref();
  return child;
}

process.once("exit", () => children.forEach((child) => child.kill("SIGKILL")));
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]]) {
  process.once(signal, () => process.exit(code));
}
