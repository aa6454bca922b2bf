// Shows GraphiQL on the URL of this page, with an example of each operation of CopilotKit's clients.
const url = window.location.pathname;
const token = sessionStorage.getItem("copilotkit-chat-token"); // as the chat page keeps it in this tab
const headers = token ? { Authorization: `Bearer ${token}` } : {};

/** The runtime's first agent, whose name is undefined where it has none; undefined where credentials are missing. */
async function firstAgent() {
  const query = "{ availableAgents { agents { name } } }";
  const options = { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify({ query }) };
  const { data } = await (await fetch(url, options)).json();
  return data && { name: data.availableAgents.agents[0]?.name };
}

/** The examples for a runtime's own agent, or for its model where it has no agents. */
function examplesFor(agent) {
  const examples = document.getElementById("examples").textContent;
  if (!agent) return examples;
  if (agent.name) return examples.replaceAll('"planner"', JSON.stringify(agent.name));
  return examples.replace('{ agentName: "planner" }', "null").replace(/query state[^]*?\n}\n\n/, "");
}

firstAgent().catch(() => undefined).then((agent) => {
  const defaultHeaders = token ? JSON.stringify(headers, null, 2) : undefined;
  const settings = { fetcher: GraphiQL.createFetcher({ url }), defaultQuery: examplesFor(agent), defaultHeaders, shouldPersistHeaders: false };
  ReactDOM.createRoot(document.getElementById("graphiql")).render(React.createElement(GraphiQL, settings));
});
