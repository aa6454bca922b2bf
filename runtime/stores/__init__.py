"""Where states are kept: one interface (``stores.interface``), four places."""
