"""GraphiQL for people who open the endpoint in a browser."""

from __future__ import annotations

from ariadne.explorer import ExplorerGraphiQL

EXAMPLES = """\
# The operations of CopilotKit's clients. Put the cursor in one and press the play button.

query agents {
  hello
  availableAgents { agents { id name description } }
}

query state($agent: String = "planner", $thread: String = "a-thread") {
  loadAgentState(data: { agentName: $agent, threadId: $thread }) { threadExists state messages }
}

mutation chat($agent: String = "planner") {
  generateCopilotResponse(
    data: {
      threadId: "a-thread"
      metadata: { requestType: Chat }
      frontend: { actions: [] }
      agentSession: { agentName: $agent }
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
"""What the page begins with: an example of each operation."""

_page = ExplorerGraphiQL(title="CopilotKit runtime", default_query=EXAMPLES).html(None)


def graphiql_page() -> str:
    """Return the page; it sends its queries to the URL that it stands on."""
    return str(_page)
