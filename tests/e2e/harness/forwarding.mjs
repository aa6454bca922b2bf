import { request } from "node:http";

/** Answers `incoming` with what the server at `target` answers, byte by byte as it comes; hangs up when it is left. */
export function forward(incoming, outgoing, target) {
  const { method, url, headers } = incoming;
  const onward = request({ host: target.hostname, port: target.port, method, path: url, headers });
  onward.on("response", (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on("error", () => outgoing.destroy());
  outgoing.on("close", () => onward.destroy());
  incoming.pipe(onward);
}
