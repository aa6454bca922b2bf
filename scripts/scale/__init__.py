"""A model of scale: what runs cost a store, as measured, and what is the first bottleneck."""
