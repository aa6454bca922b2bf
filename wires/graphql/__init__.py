"""The GraphQL wire: execution, incremental delivery and response formats."""
