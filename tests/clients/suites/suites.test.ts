import { createServer } from "node:http";

import { debugEventsProductionGuardSuite, debugEventsSuite } from "./suites/debug-events.suite";
import { multiEndpointSuite } from "./suites/multi-endpoint.suite";
import { singleEndpointSuite } from "./suites/single-endpoint.suite";

const BASE_PATH = "/api/copilotkit";
const { HEADERS_PORT, RUNTIME_PORT, PRODUCTION_PORT } = process.env;

/** What the suite that runs wants to see of the headers that its agent gets. */
let captured: Record<string, string>[] | undefined;

createServer((request, response) => {
  let body = "";
  request.on("data", (piece) => (body += piece));
  request.on("end", () => {
    captured?.push(JSON.parse(body));
    response.end();
  });
}).listen(Number(HEADERS_PORT));

const serverAt = (port: string | undefined) => ({
  baseUrl: `http://127.0.0.1:${port}`,
  basePath: BASE_PATH,
  close: async () => {},
});

const factory = async (options?: { capturedHeaders?: Record<string, string>[] }) => {
  captured = options?.capturedHeaders;
  return serverAt(RUNTIME_PORT);
};

multiEndpointSuite("Python", factory);
singleEndpointSuite("Python", factory);
debugEventsSuite("Python", factory);
debugEventsProductionGuardSuite(() => ({ handler: fetch }), serverAt(PRODUCTION_PORT).baseUrl, BASE_PATH);
