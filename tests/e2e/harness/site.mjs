import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { forward } from "./forwarding.mjs";

const PAGES = fileURLToPath(new URL("../page/dist", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };

/**
 * Serves the built page, or the one in the folder `pages`, on a free port.
 *
 * With `runtimeUrl`, requests under that URL's path go on to it, byte by byte as they come: the page and the
 * runtime then share an origin. Without it the page has to reach the runtime across origins.
 */
export async function startSite({ runtimeUrl, pages = PAGES } = {}) {
  const runtime = runtimeUrl && new URL(runtimeUrl);
  const server = createServer((incoming, outgoing) =>
    runtime && incoming.url.startsWith(runtime.pathname)
      ? forward(incoming, outgoing, runtime)
      : serveFile(incoming, outgoing, pages),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  return { url: `http://127.0.0.1:${server.address().port}/`, stop: () => stop(server) };
}

async function serveFile(incoming, outgoing, pages) {
  const { pathname } = new URL(incoming.url, "http://site");
  const path = join(pages, normalize(pathname === "/" ? "/index.html" : pathname));
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return outgoing.writeHead(404).end();
  outgoing.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
  createReadStream(path).pipe(outgoing);
}

async function stop(server) {
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}
