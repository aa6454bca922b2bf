"""An MCP server that is started as a command."""

from mcp.server.fastmcp import FastMCP

server = FastMCP("mine", log_level="ERROR")


@server.tool(description="Adds numbers")
def add(left: int, right: int) -> int:
    """The sum."""
    return left + right


if __name__ == "__main__":
    server.run("stdio")
