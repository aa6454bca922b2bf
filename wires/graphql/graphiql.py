"""GraphiQL for people who open the endpoint in a browser."""

from __future__ import annotations

from html import escape
from string import Template

EXAMPLES = """\
# The operations of CopilotKit's clients. Put the cursor in one and press the play button.
# Where credentials are needed, write them below, under "Headers": {"Authorization": "Bearer API-KEY-OR-TOKEN"}

query agents {
  hello
  availableAgents { agents { id name description } }
}

query state($agent: String = "planner", $thread: String = "a-thread") {
  loadAgentState(data: { agentName: $agent, threadId: $thread }) { threadExists state messages }
}

mutation chat($session: AgentSessionInput = { agentName: "planner" }) {
  generateCopilotResponse(
    data: {
      threadId: "a-thread"
      metadata: { requestType: Chat }
      frontend: { actions: [] }
      agentSession: $session
      messages: [
        { id: "1", createdAt: "2026-01-01T00:00:00.000Z", textMessage: { role: user, content: "Hello there" } }
      ]
    }
  ) {
    threadId
    messages {
      ... on TextMessageOutput { id role content }
      ... on ActionExecutionMessageOutput { id name arguments }
      ... on AgentStateMessageOutput { id state }
    }
  }
}
"""
"""What the page begins with: an example of each operation, with the name of an agent that the page replaces."""

FOLDER = "graphiql"
"""Where the page's files are, below the URL that it stands on."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts come from this server alone; menus write styles into the page."""

_PAGE = Template("""\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>GraphiQL - CopilotKit runtime</title>
    <link rel="stylesheet" href="$files/graphiql.min.css" />
    <link rel="stylesheet" href="$files/page.css" />
  </head>
  <body>
    <div id="graphiql"><p>GraphiQL needs JavaScript.</p></div>
    <script type="text/plain" id="examples">$examples</script>
    <script src="$files/react.production.min.js"></script>
    <script src="$files/react-dom.production.min.js"></script>
    <script src="$files/graphiql.min.js"></script>
    <script src="$files/start.js"></script>
  </body>
</html>
""")


def graphiql_page(path: str) -> str:
    """Return the page, which sends its queries to the URL that it stands on.

    Args:
        path: That URL's path. Files are named from its last part, so that a proxy may serve it under another path.
    """
    last = path.rpartition("/")[2]
    files = f"{last}/{FOLDER}" if last else FOLDER
    return _PAGE.substitute(files=escape(files), examples=EXAMPLES)
