"""How answers travel: GraphQL execution, incremental payloads, and the formats they are written in."""
