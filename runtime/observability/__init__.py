"""Logs, metrics, traces, and the watch over the event loop."""
