"""The service layer: runs, events, messages, state, delivery. It knows no agent framework."""
