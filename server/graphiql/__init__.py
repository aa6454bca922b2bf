"""GraphiQL for people who open a runtime in development."""
