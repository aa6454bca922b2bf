"""Where states are kept: one interface (``runtime.state``), four places."""
