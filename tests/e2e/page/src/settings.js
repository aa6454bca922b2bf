/**
 * What the address bar says: `runtimeUrl` (default `/api/copilotkit`), `agent` (default `planner`; empty for a
 * chat with the runtime's own model) and `suggestions` (any value switches them on).
 */
export function readSettings(search) {
  const query = new URLSearchParams(search);
  return {
    runtimeUrl: query.get("runtimeUrl") ?? "/api/copilotkit",
    agent: (query.get("agent") ?? "planner") || undefined,
    suggestions: query.has("suggestions"),
  };
}
