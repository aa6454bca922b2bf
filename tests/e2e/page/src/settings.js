/**
 * What the address bar says: `runtimeUrl` (default `/api/copilotkit`), `agent` (default `planner`; empty for a
 * chat with the runtime's own model), `team` (agents that share the conversation, separated by commas), `questions`
 * (any value: agents may ask the person), `suggestions` (any value switches them on), `desk` (any value: pictures, and
 * what a model does besides the chat), `draws` (how the page's drawing of the server's action `weather` is `available`)
 * and `parameters` (forwarded to the model, as JSON).
 */
export function readSettings(search) {
  const query = new URLSearchParams(search);
  return {
    runtimeUrl: query.get("runtimeUrl") ?? "/api/copilotkit",
    agent: (query.get("agent") ?? "planner") || undefined,
    team: query.get("team")?.split(",") ?? [],
    questions: query.has("questions"),
    suggestions: query.has("suggestions"),
    desk: query.has("desk"),
    draws: query.get("draws") ?? undefined,
    parameters: JSON.parse(query.get("parameters") ?? "{}"),
  };
}
