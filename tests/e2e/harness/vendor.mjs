import { LLMock } from "@copilotkit/aimock";
import { once } from "node:events";
import { createServer } from "node:http";

import { eventually } from "./eventually.mjs";
import { forward } from "./forwarding.mjs";

const MS_PER_PIECE = 20;
const CHARACTERS_PER_PIECE = 6;

/** A vendor's server that speaks all vendors' protocols, and keeps what it was asked. */
export class Vendor {
  static async start() {
    const vendor = new Vendor();
    await vendor.open();
    return vendor;
  }

  constructor() {
    this.requests = [];
    this.mock = new LLMock({ port: 0, strict: true, latency: MS_PER_PIECE, chunkSize: CHARACTERS_PER_PIECE });
    this.mock.on({}, (asked) => this.answer(asked));
    this.server = createServer((incoming, outgoing) => this.serve(incoming, outgoing));
  }

  /** From now on answers by `rule`: what was asked, in OpenAI's words whatever the protocol, to aimock's response. */
  answers(rule) {
    this.requests = [];
    this.answer = rule;
  }

  /** The request that `question` is true of, once it has come. */
  asked(question, what) {
    return eventually(() => this.requests.find((request) => request.body && question(request.body)), { what });
  }

  async open() {
    this.target = new URL(await this.mock.start());
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  serve(incoming, outgoing) {
    const request = { path: incoming.url, headers: incoming.headers, body: undefined, leftAt: undefined };
    this.requests.push(request);
    const pieces = [];
    incoming.on("data", (piece) => pieces.push(piece));
    incoming.on("end", () => (request.body = JSON.parse(Buffer.concat(pieces))));
    outgoing.on("close", () => {
      if (!outgoing.writableFinished) request.leftAt = Date.now();
    });
    forward(incoming, outgoing, this.target);
  }

  async stop() {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, "close");
    await this.mock.stop();
  }
}
