import { fileURLToPath } from "node:url";

/** The folder that `react/build.mjs` builds the page with the React packages of `version` into. */
export function builtPage(version) {
  return fileURLToPath(new URL(`../../../build/react/${version}`, import.meta.url));
}
