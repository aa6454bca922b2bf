"""One run of an agent: its events, their order, their log and what is kept of them."""
