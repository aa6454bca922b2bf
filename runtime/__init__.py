"""The service layer: runs, events, messages, state, delivery. It depends on no agent framework."""
