import { after, before } from "node:test";

import { openBrowser } from "./browser.mjs";
import { startRuntime } from "./runtime.mjs";

/** Serves `target`, with a browser beside it, while the tests of the `describe` that calls this run. */
export function serving(target) {
  const served = {
    browser: undefined,
    runtime: undefined,
    get url() {
      return this.runtime.url;
    },
  };

  before(async () => {
    served.runtime = await startRuntime(target, { COPILOTKIT_STORE: "memory://" });
    served.browser = await openBrowser();
  });

  after(async () => {
    await served.browser?.close();
    await served.runtime?.stop();
  });

  return served;
}
