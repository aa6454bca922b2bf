const TRANSPORTS = { default: undefined, single: true, rest: false };

/**
 * Reads the address bar: `runtimeUrl`, `agent` (empty: none is named), `threadId` (empty: the client chooses one),
 * `transport` (`default`: what this version of the client does by itself, `single` or `rest`) and `suggestions` (any
 * value switches them on).
 */
export function readSettings(search) {
  const query = new URLSearchParams(search);
  return {
    runtimeUrl: query.get("runtimeUrl"),
    agent: query.get("agent") || undefined,
    threadId: query.get("threadId") || undefined,
    useSingleEndpoint: TRANSPORTS[query.get("transport")],
    suggestions: query.has("suggestions"),
  };
}
