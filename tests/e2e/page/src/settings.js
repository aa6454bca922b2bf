/**
 * What the address bar says: `runtimeUrl` (default `/api/copilotkit`), `agent` (default `planner`; empty for a
 * chat with the runtime's own model), `team` (agents that share the conversation, separated by commas), `questions`
 * (any value: agents may ask the person) and `suggestions` (any value switches them on).
 */
export function readSettings(search) {
  const query = new URLSearchParams(search);
  return {
    runtimeUrl: query.get("runtimeUrl") ?? "/api/copilotkit",
    agent: (query.get("agent") ?? "planner") || undefined,
    team: query.get("team")?.split(",") ?? [],
    questions: query.has("questions"),
    suggestions: query.has("suggestions"),
  };
}
