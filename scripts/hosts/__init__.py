"""Proof on more than one host: network namespaces as hosts, with a web tier, workers, a store and nginx."""
