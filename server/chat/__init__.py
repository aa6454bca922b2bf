"""A chat page for people who open a runtime in development."""
