"""Hand runs to other processes: what crosses, the engine that carries it, and those who execute."""
