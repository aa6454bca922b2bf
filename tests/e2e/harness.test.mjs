import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";

import { openBrowser } from "./harness/browser.mjs";
import { ReactClient } from "./harness/react_client.mjs";

/** Joins a thread as react-core does that learns of its agent meanwhile: it gives the first request up. */
const PAGE = `<!doctype html><main data-running="false"><textarea></textarea></main><script type="module">
  const join = (signal) => fetch("/api/agent/default/connect", { method: "POST", signal });
  const first = new AbortController();
  await join(first.signal);
  first.abort();
  await (await join()).text();
</script>`;

describe("a tab of a React client", { timeout: 300_000 }, () => {
  let site;
  let client;
  let joins = 0;

  before(async () => {
    site = createServer((request, response) => {
      if (request.method === "GET") return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      if (joins++) response.end();
    }).listen(0, "127.0.0.1");
    await once(site, "listening");
    const url = `http://127.0.0.1:${site.address().port}/`;
    client = new ReactClient({ url, stop: () => site.close() }, await openBrowser());
  });

  after(async () => {
    await client?.stop();
    site?.closeAllConnections();
  });

  test("is open once the thread has been joined, though a request before was given up behind its answer's head", async () => {
    const tab = await client.open({ api: "v2" });
    assert.equal(joins, 2);
    assert.equal(tab.requests[0].failure().errorText, "net::ERR_ABORTED");
  });
});
