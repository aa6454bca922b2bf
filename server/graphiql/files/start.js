// Shows GraphiQL on the URL of this page, with an example of each operation of CopilotKit's clients.
const examples = document.getElementById("examples").textContent;
const fetcher = GraphiQL.createFetcher({ url: window.location.pathname });
const page = React.createElement(GraphiQL, { fetcher, defaultQuery: examples, shouldPersistHeaders: false });
ReactDOM.createRoot(document.getElementById("graphiql")).render(page);
